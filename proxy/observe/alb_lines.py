"""The load balancer's own access-log line (alb.md 9.1), so that whatever reads those reads ours."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Final

from proxy.config.arns import hex_id, target_group_arn
from proxy.http2.grpc import HTTP2, is_grpc
from proxy.observe.record import (
    METHOD_LIMIT,
    USER_AGENT_LIMIT,
    RequestRecord,
    request_processing_seconds,
    response_processing_seconds,
    target_processing_seconds,
)

DEFAULT_ELB_NAME: Final = "strangler-fig"
ELB_NAME: Final = re.compile(r"(?!internal-)[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
"""1 to 32 letters, digits and inner hyphens."""

_ERROR_REASON: Final = re.compile(r"(?:Auth|AWSALBTGCookie|JWKS|JWT|Lambda|WAF|WeightedTargetGroups)[A-Za-z0-9]+")
"""The families of alb.md 9.3. Our own reasons, all with a dot, are not among them: they are in the JSON log."""

_ADDRESS: Final = re.compile(r"(?:\[[^\]]+\]|[0-9]+(?:\.[0-9]+){3}):[0-9]+")

_UNSAFE: Final = re.compile(r"[^ !#-\[\]-~]")
_ESCAPES: Final = {code: f"\\x{code:02X}" for code in (*range(0x20), 0x22, 0x5C, *range(0x7F, 0x100))}


class AlbLines:
    """One line of 33 fields, ASCII only.

    Bytes that would break a line or a quoted field (control characters, `"`, `\\` and everything over 0x7E) stand as
    `\\xHH`, as in nginx: nothing a client sends adds a field or a line. What never happened is `-`, or -1 where the
    field is a duration.

    Args:
        elb_name: The load balancer's name; its id is made from the name and so is the same after a restart.
    """

    def __init__(self, elb_name: str = DEFAULT_ELB_NAME) -> None:
        self._elb = f"app/{elb_name}/{hex_id(elb_name)}"
        self._second = -1
        self._second_text = ""

    def line(self, record: RequestRecord) -> str:
        lived = max(record.ended_at - record.received_at, 0.0)
        target, target_status = _target(record.target_id), record.target_status or "-"
        if target == "-":
            target_status = "-"
        trace_id, user_agent = _headers(record)
        target_group = target_group_arn(record.target_group) if record.target_group else "-"
        cipher, version, server_name, certificate = _tls(record)
        error_reason = _error_reason(record.reason or record.remark)
        return (
            f"{_type(record)} {self._time(record.started_at + lived)} {self._elb}"
            f" {_address(record.client, record.client_port)} {target} {_processing_times(record)}"
            f" {record.status or '-'} {target_status} {record.request_bytes} {record.response_bytes}"
            f' "{_request(record)}" "{user_agent}" {cipher} {version} {target_group}'
            f' "{trace_id}" "{server_name}" "{certificate}"'
            f" {_matched_rule_priority(record)} {self._time(record.started_at)}"
            f' "{_actions_executed(record)}" "{_quoted(record.redirect_url)}" "{error_reason}"'
            f' "{target}" "{target_status}"'
            f' "{record.classification or "-"}" "{record.classification_reason or "-"}" {record.conn_trace_id or "-"}'
            f' "{_word(record.transformed_host)}" "{_word(record.transformed_uri)}"'
            f' "{record.request_transform_status or "-"}"'
        )

    def _time(self, moment: float) -> str:
        """ISO 8601 with microseconds; most lines of a busy second share its text."""
        second = int(moment)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((moment - second) * 1e6):06d}Z"


def _type(record: RequestRecord) -> str:
    secure = record.tls is not None or (record.view is not None and record.view.scheme == "https")
    if record.tunnel:
        return "wss" if secure else "ws"
    if record.protocol == HTTP2:
        if record.view is not None and is_grpc(record.view.fields):
            return "grpcs" if secure else "grpc"
        return "h2"
    return "https" if secure else "http"


def _processing_times(record: RequestRecord) -> str:
    """Fields 6 to 8. All are -1 when a target was at fault, the first too, though the request may have been sent."""
    if record.head_at:
        return " ".join(
            [
                _seconds(request_processing_seconds(record)),
                _seconds(target_processing_seconds(record)),
                _seconds(response_processing_seconds(record)),
            ]
        )
    if record.reason.startswith("Target."):
        return "-1 -1 -1"
    return f"{_seconds(request_processing_seconds(record))} -1 -1"


def _seconds(value: float | None) -> str:
    return "-1" if value is None else f"{value:.3f}"


@lru_cache(maxsize=1024)
def _target(target_id: str) -> str:
    """Field 5; a function has no address, and of its status nothing is logged either (alb.md 7)."""
    return target_id if _ADDRESS.fullmatch(target_id) else "-"


def _address(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address or '-'}:{port}"


def _request(record: RequestRecord) -> str:
    """Field 13: method, URL and version as the client sent them; `- http://-:PORT- -` of what is no request."""
    view = record.view
    if view is not None:
        method, target, protocol = record.method, view.target, record.protocol
        scheme, host, port = view.scheme, view.host, view.port
    else:
        method, target, protocol, host = _words_of(record.head)
        scheme, port = "https" if record.tls is not None else "http", record.port
    if b"://" in target and target[:1] != b"/":
        url = target
    else:
        url = b"%s://%s:%d%s" % (scheme.encode(), host or b"-", port, target or b"-")
    return f"{_word(method[:METHOD_LIMIT])} {_word(url)} {_word(protocol[:METHOD_LIMIT])}"


def _words_of(head: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Method, target, version and host of a refused request, as far as it has a request line."""
    first, _, rest = head.partition(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/"):
        return b"", b"", b"", b""
    host = _HOST_LINE.search(b"\r\n" + rest)
    return words[0], words[1], words[2], host[1].rpartition(b":")[0] or host[1] if host else b""


_HOST_LINE: Final = re.compile(rb"\r\nhost:[ \t]*([^\s,]{1,255})", re.IGNORECASE)


def _headers(record: RequestRecord) -> tuple[str, str]:
    """Trace id and user agent."""
    fields = record.view.fields if record.view is not None else {}
    trace_id = record.trace_id or fields.get(b"x-amzn-trace-id", b"")
    return _quoted(trace_id), _quoted(fields.get(b"user-agent", b"")[:USER_AGENT_LIMIT])


def _tls(record: RequestRecord) -> tuple[str, str, str, str]:
    """Fields 15, 16, 19 and 20."""
    tls = record.tls
    if tls is None:
        return "-", "-", "-", "-"
    return tls.cipher or "-", tls.version or "-", _quoted(tls.server_name.encode()), tls.certificate or "-"


def _matched_rule_priority(record: RequestRecord) -> str:
    if record.rule:
        return str(record.priority or 0)
    return "-1" if record.view is not None and record.status == 500 else "-"


def _actions_executed(record: RequestRecord) -> str:
    routing = "forward" if record.target_group else record.action
    if not record.authenticated:
        return routing or "-"
    return f"authenticate,{routing}" if routing else "authenticate"


@lru_cache(maxsize=256)
def _error_reason(reason: str) -> str:
    return reason if _ERROR_REASON.fullmatch(reason) else "-"


def _quoted(value: bytes) -> str:
    """A value for between quotes; `-` for none."""
    if not value:
        return "-"
    text = value.decode("latin-1")
    return text.translate(_ESCAPES) if _UNSAFE.search(text) else text


def _word(value: bytes) -> str:
    """The same without blanks, where the next word of a field follows."""
    return _quoted(value).replace(" ", "\\x20")
