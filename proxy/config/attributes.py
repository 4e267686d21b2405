"""Attributes of load balancer and listener, verbatim as in the ELBv2 API (alb.md 11)."""

from __future__ import annotations

import re
from typing import Any, cast

from proxy.config.model import ListenerAttributes, LoadBalancerAttributes
from proxy.config.records import Effect, Field, Fields, Record
from proxy.config.shapes import Boolean, Choice, Fault, Integer, Text, printable

_TEXT = Text("an attribute value", shortest=0, checks=(printable,))


def _elsewhere(name: str, shape: Any, about: str) -> Field[Any]:
    return Field(name, shape, about, effect=Effect.NONE)


# Load balancer

IDLE_TIMEOUT = Field(
    "idle_timeout.timeout_seconds",
    Integer(1, 4000, "seconds"),
    "How long client or target may be silent.",
    default=60,
)
CLIENT_KEEP_ALIVE = Field(
    "client_keep_alive.seconds",
    Integer(60, 604_800, "seconds"),
    "How long a client connection may live.",
    default=3600,
)
XFF_MODE = Field(
    "routing.http.xff_header_processing.mode",
    Choice("append", "preserve", "remove"),
    "What happens to X-Forwarded-For.",
    default="append",
)
XFF_CLIENT_PORT = Field(
    "routing.http.xff_client_port.enabled",
    Boolean(),
    "Whether X-Forwarded-For has the client's port.",
    default=False,
)
PRESERVE_HOST = Field(
    "routing.http.preserve_host_header.enabled",
    Boolean(),
    "Whether targets get the Host header unchanged.",
    default=False,
)
DESYNC_MODE = Field(
    "routing.http.desync_mitigation_mode",
    Choice("monitor", "defensive", "strictest"),
    "What happens to requests that others may read differently.",
    default="defensive",
)
DROP_INVALID = Field(
    "routing.http.drop_invalid_header_fields.enabled",
    Boolean(),
    "Whether headers with other than letters, digits and - in their name are dropped.",
    default=False,
)
TLS_HEADERS = Field(
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
    Boolean(),
    "Whether targets learn TLS version and cipher.",
    default=False,
)
HTTP2 = Field("routing.http2.enabled", Boolean(), "Whether clients may speak HTTP/2 to HTTPS listeners.", default=True)


def _load_balancer(fields: Fields) -> LoadBalancerAttributes:
    defaults = LoadBalancerAttributes()
    return LoadBalancerAttributes(
        idle_timeout_seconds=fields.get(IDLE_TIMEOUT, defaults.idle_timeout_seconds),
        client_keep_alive_seconds=fields.get(CLIENT_KEEP_ALIVE, defaults.client_keep_alive_seconds),
        xff_header_processing_mode=cast(Any, fields.get(XFF_MODE, defaults.xff_header_processing_mode)),
        xff_client_port=fields.get(XFF_CLIENT_PORT, defaults.xff_client_port),
        preserve_host_header=fields.get(PRESERVE_HOST, defaults.preserve_host_header),
        desync_mitigation_mode=cast(Any, fields.get(DESYNC_MODE, defaults.desync_mitigation_mode)),
        drop_invalid_header_fields=fields.get(DROP_INVALID, defaults.drop_invalid_header_fields),
        http2=fields.get(HTTP2, defaults.http2),
        tls_version_and_cipher_suite=fields.get(TLS_HEADERS, defaults.tls_version_and_cipher_suite),
    )


def _logs(kind: str) -> tuple[Field[Any], ...]:
    return (
        _elsewhere(f"{kind}.s3.enabled", Boolean(), "Logs to S3."),
        _elsewhere(f"{kind}.s3.bucket", _TEXT, "The bucket."),
        _elsewhere(f"{kind}.s3.prefix", _TEXT, "The prefix in the bucket."),
    )


LOAD_BALANCER_ATTRIBUTES: Record[LoadBalancerAttributes] = Record(
    "load balancer attributes",
    (
        IDLE_TIMEOUT,
        CLIENT_KEEP_ALIVE,
        XFF_MODE,
        XFF_CLIENT_PORT,
        PRESERVE_HOST,
        DESYNC_MODE,
        DROP_INVALID,
        TLS_HEADERS,
        HTTP2,
        _elsewhere("waf.fail_open.enabled", Boolean(), "What happens when WAF is out of reach."),
        _elsewhere("zonal_shift.config.enabled", Boolean(), "Zonal shift."),
        _elsewhere("ipv6.deny_all_igw_traffic", Boolean(), "Internet gateway traffic."),
        _elsewhere("deletion_protection.enabled", Boolean(), "Deletion protection."),
        _elsewhere("load_balancing.cross_zone.enabled", Boolean(), "Cross-zone load balancing."),
        *_logs("access_logs"),
        *_logs("connection_logs"),
        *_logs("health_check_logs"),
    ),
    _load_balancer,
)

# Listener

_TLS_REQUEST_HEADERS = (
    "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Serial-Number",
    "X-Amzn-Mtls-Clientcert-Issuer",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Amzn-Mtls-Clientcert-Validity",
    "X-Amzn-Mtls-Clientcert-Leaf",
    "X-Amzn-Tls-Version",
    "X-Amzn-Tls-Cipher-Suite",
)
_RESPONSE_HEADERS = (
    "strict_transport_security",
    "access_control_allow_origin",
    "access_control_allow_methods",
    "access_control_allow_headers",
    "access_control_allow_credentials",
    "access_control_expose_headers",
    "access_control_max_age",
    "content_security_policy",
    "x_content_type_options",
    "x_frame_options",
)

SERVER_HEADER = Field(
    "routing.http.response.server.enabled",
    Boolean(),
    "Whether the load balancer's own answers have a Server header.",
    default=True,
)
RESPONSE_HEADERS = {
    header.replace("_", "-").title(): Field(
        f"routing.http.response.{header}.header_value",
        Text("a header value", longest=1024, checks=(printable,)),
        f"The value of {header.replace('_', '-')} in every response.",
    )
    for header in _RESPONSE_HEADERS
}


_HEADER_NAME = re.compile(r"[-A-Za-z0-9_]+")
_TAKEN_NAMES = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-amzn-trace-id",
        "x-forwarded-for",
        "x-forwarded-port",
        "x-forwarded-proto",
    }
)
"""Headers that frame a request or that targets get from the gateway anyway."""


def _header_name(text: str) -> Fault | None:
    if _HEADER_NAME.fullmatch(text) is None:
        return Fault("invalid-character", "is no header name of letters, digits, - and _")
    if text.lower() in _TAKEN_NAMES:
        return Fault("reserved-name", "is a header with a meaning of its own; choose another")
    return None


RENAMED_HEADERS = {
    header: Field(
        f"routing.http.request.{header.replace('-', '_').lower()}.header_name",
        Text("a header name", longest=128, checks=(_header_name,)),
        f"Another name for {header} towards targets.",
    )
    for header in _TLS_REQUEST_HEADERS
}


def _listener(fields: Fields) -> ListenerAttributes:
    renamed = {header: name for header, field in RENAMED_HEADERS.items() if (name := fields.find(field)) is not None}
    taken = {header.lower(): header for header in RENAMED_HEADERS if header not in renamed}
    for header, name in renamed.items():
        other = taken.setdefault(name.lower(), header)
        if other != header:
            message = f"{name} is the name of {other} already: choose another"
            fields.error("conflicting-keys", RENAMED_HEADERS[header], message)
    values = ((name, fields.find(field)) for name, field in RESPONSE_HEADERS.items())
    return ListenerAttributes(
        response_headers=tuple((name, value) for name, value in values if value is not None),
        server_header=fields.get(SERVER_HEADER, True),
        renamed_headers=tuple(renamed.items()),
    )


LISTENER_ATTRIBUTES: Record[ListenerAttributes] = Record(
    "listener attributes",
    (
        SERVER_HEADER,
        *RESPONSE_HEADERS.values(),
        *RENAMED_HEADERS.values(),
    ),
    _listener,
)
