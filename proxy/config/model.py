"""`routes.yaml` as written: frozen records with defaults filled in, within the load balancer's limits.

Nothing here is compiled and nothing changes. `place` says where a record stands in the file, for messages
about it; two records that differ only in their place are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import datetime
from typing import ClassVar, Literal

from proxy.config.problem import Place
from proxy.config.ssl_policies import DEFAULT_SSL_POLICY

NOWHERE = Place(1, 1, "")

ConditionField = Literal[
    "host-header", "path-pattern", "http-request-method", "http-header", "query-string", "source-ip"
]


@dataclass(frozen=True, slots=True)
class QueryPair:
    """One value of a `query-string` condition; `key` is None when any key may hold `value` (alb.md 2.7)."""

    key: str | None
    value: str


@dataclass(frozen=True, slots=True)
class ConditionConfig:
    """One condition. `values` or `regex_values` is filled, never both; `pairs` only for `query-string`."""

    field: ConditionField
    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()
    header_name: str | None = None
    pairs: tuple[QueryPair, ...] = ()
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ForwardConfig:
    """`forward`: target group names with their weights, 0 to 999 (alb.md 3.1).

    `stickiness_seconds` is the duration of target group stickiness, None when it is off.
    """

    weights: tuple[tuple[str, int], ...]
    stickiness_seconds: int | None = None
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class RedirectConfig:
    """`redirect` with the load balancer's defaults (alb.md 3.2)."""

    status_code: Literal[301, 302]
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class FixedResponseConfig:
    """`fixed-response` (alb.md 3.3)."""

    status_code: int
    content_type: str | None = None
    message_body: str = ""
    place: Place = attribute(default=NOWHERE, compare=False)


ActionConfig = ForwardConfig | RedirectConfig | FixedResponseConfig


@dataclass(frozen=True, slots=True)
class LoginConfig:
    """`authenticate-oidc`, or `authenticate-cognito` with the endpoints of its user pool (alb.md 3.4).

    `client_secret` is empty for a client that has none; it is left out of every `repr`.
    """

    COOKIE_NAME: ClassVar[str] = "AWSELBAuthSessionCookie"

    type: Literal["authenticate-oidc", "authenticate-cognito"]
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    client_secret: str = attribute(repr=False)
    session_cookie_name: str = COOKIE_NAME
    session_timeout_seconds: int = 604_800
    scope: str = "openid"
    extra_params: tuple[tuple[str, str], ...] = ()
    on_unauthenticated_request: Literal["authenticate", "deny", "allow"] = "authenticate"
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class JwtClaimConfig:
    """One of `additional_claims`: the claim must have one of these values (alb.md 3.5)."""

    name: str
    format: Literal["single-string", "string-array", "space-separated-values"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JwtValidationConfig:
    """`jwt-validation` (alb.md 3.5)."""

    type: ClassVar[Literal["jwt-validation"]] = "jwt-validation"

    issuer: str
    jwks_endpoint: str
    additional_claims: tuple[JwtClaimConfig, ...] = ()
    place: Place = attribute(default=NOWHERE, compare=False)


AuthenticationConfig = LoginConfig | JwtValidationConfig

TransformType = Literal["url-rewrite", "host-header-rewrite"]


@dataclass(frozen=True, slots=True)
class TransformConfig:
    """One transform: `replace` takes the place of the first match of `regex` (alb.md 4)."""

    type: TransformType
    regex: str
    replace: str
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """One rule: all conditions must hold; then come authentication, transforms and the action (alb.md 1.2, 3, 4)."""

    name: str
    priority: int
    conditions: tuple[ConditionConfig, ...]
    action: ActionConfig
    transforms: tuple[TransformConfig, ...] = ()
    authentication: AuthenticationConfig | None = None
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ListenerAttributes:
    """Listener attributes (alb.md 6.4).

    `response_headers` are set on every response; `server_header` is whether the gateway's own have `Server`;
    `renamed_headers` are headers about TLS towards targets, each with the name it gets instead.
    """

    response_headers: tuple[tuple[str, str], ...] = ()
    server_header: bool = True
    renamed_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate file says, as far as one is chosen by it (alb.md 1.1).

    `names` are in lower case and may begin with `*.`; `digest` changes with any byte of the certificate or key file.
    """

    names: tuple[str, ...]
    key_algorithm: Literal["ECDSA", "RSA"]
    key_bits: int
    is_signed_with_md5: bool
    not_before: datetime
    not_after: datetime
    digest: str


@dataclass(frozen=True, slots=True)
class CertificateConfig:
    """A certificate with its chain, and its private key. `facts` is None while the files have not been looked at."""

    certificate_file: str
    private_key_file: str
    facts: CertificateFacts | None = None
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class MutualAuthenticationConfig:
    """`mutual_authentication`; `digest` is that of the trust store once it was read."""

    mode: Literal["off", "passthrough", "verify"] = "off"
    trust_store_file: str = ""
    digest: str = ""
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """One listener. `rules` are sorted by priority, whatever their order in the file.

    Certificates, the first of them the default, are there on HTTPS listeners only, and so are the fields after them.
    `http2` is an attribute of the load balancer, kept here for those who know a listener only.
    """

    name: str
    port: int
    default: ActionConfig
    rules: tuple[RuleConfig, ...] = ()
    protocol: Literal["HTTP", "HTTPS"] = "HTTP"
    default_authentication: AuthenticationConfig | None = None
    attributes: ListenerAttributes = ListenerAttributes()
    certificates: tuple[CertificateConfig, ...] = ()
    ssl_policy: str = DEFAULT_SSL_POLICY
    mutual_authentication: MutualAuthenticationConfig = MutualAuthenticationConfig()
    http2: bool = True
    place: Place = attribute(default=NOWHERE, compare=False)


Scheme = Literal["http", "https", "lambda", "event"]
"""How a target is reached. `lambda` is a function, `event` a service: the host is what it is called, the port 0."""


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One entry of `targets`: a host name or address that is resolved to one or several targets, or a function."""

    scheme: Scheme
    host: str
    port: int
    place: Place = attribute(default=NOWHERE, compare=False)

    @property
    def url(self) -> str:
        """`http://host:port`, an IPv6 address in brackets; without an address, `lambda:` and the function's name."""
        if not self.has_address:
            return f"{self.scheme}:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def has_address(self) -> bool:
        """Whether it is reached at an address of its own."""
        return self.scheme in ("http", "https")


ProtocolVersion = Literal["HTTP1", "HTTP2", "GRPC"]


@dataclass(frozen=True, slots=True)
class FunctionConfig:
    """The function of a group with `target_type: lambda` (alb.md 7), and how `local` wants it called.

    `name` is its name or ARN, alias or version included; `target_group` is the group's. `endpoint` is empty where the
    environment decides, `maximum_concurrency` 0 where calls are not counted.
    """

    name: str
    target_group: str
    payload: Literal["alb", "1.0", "2.0"] = "alb"
    invocation: Literal["sync", "async"] = "sync"
    endpoint: str = ""
    multi_value: bool = False
    maximum_concurrency: int = 0


EventSubtype = Literal["EventBridge-PutEvents", "SQS-SendMessage", "SNS-Publish", "Kinesis-PutRecord"]


@dataclass(frozen=True, slots=True)
class EventConfig:
    """`local.event` of a group: the call that puts a request where it is kept, and its parameters.

    `endpoint` is empty where the environment decides.
    """

    subtype: EventSubtype
    parameters: tuple[tuple[str, str], ...]
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheckConfig:
    """`health_check` of a target group (alb.md 5.7). `matcher` is a set of ranges, both ends included.

    `protocol_version` and `function` are the group's; with GRPC the codes of `matcher` are gRPC's. `port` None means
    the traffic port; `protocol` is that of the target where the file does not say.
    """

    enabled: bool = True
    protocol: Literal["HTTP", "HTTPS"] | None = None
    port: int | None = None
    path: str = "/"
    interval_seconds: int = 30
    timeout_seconds: int = 5
    healthy_threshold_count: int = 5
    unhealthy_threshold_count: int = 2
    matcher: tuple[tuple[int, int], ...] = ((200, 200),)
    protocol_version: ProtocolVersion = "HTTP1"
    function: FunctionConfig | None = None


@dataclass(frozen=True, slots=True)
class StickinessConfig:
    """`stickiness.*` of a target group where it is enabled (alb.md 5.5).

    `cookie_name` is that of the application's cookie, empty for `lb_cookie`.
    """

    type: Literal["lb_cookie", "app_cookie"] = "lb_cookie"
    duration_seconds: int = 86_400
    cookie_name: str = ""


@dataclass(frozen=True, slots=True)
class TargetGroupAttributes:
    """Target group attributes that have an effect so far (alb.md 5).

    `minimum_healthy_*` are those of unhealthy state routing; a percentage of None is `off`.
    """

    deregistration_delay_seconds: int = 300
    algorithm: Literal["round_robin", "least_outstanding_requests", "weighted_random"] = "round_robin"
    anomaly_mitigation: bool = False
    slow_start_seconds: int = 0
    stickiness: StickinessConfig | None = None
    minimum_healthy_count: int = 1
    minimum_healthy_percentage: int | None = None


@dataclass(frozen=True, slots=True)
class TargetGroupConfig:
    """One target group; `function` is there with `target_type: lambda` only, `event` with `local.event`."""

    name: str
    targets: tuple[TargetConfig, ...]
    health_check: HealthCheckConfig = HealthCheckConfig()
    attributes: TargetGroupAttributes = TargetGroupAttributes()
    protocol_version: ProtocolVersion = "HTTP1"
    function: FunctionConfig | None = None
    event: EventConfig | None = None
    place: Place = attribute(default=NOWHERE, compare=False)

    @property
    def target_type(self) -> Literal["ip", "lambda", "event"]:
        """What the targets are; `event` is none of the load balancer's types."""
        if self.event is not None:
            return "event"
        return "ip" if self.function is None else "lambda"

    @property
    def transport(self) -> object:
        """What connections to its targets depend on: a change of it needs new ones."""
        return self.protocol_version, self.function, self.event


@dataclass(frozen=True, slots=True)
class LoadBalancerAttributes:
    """Load balancer attributes that have an effect so far (alb.md 11)."""

    idle_timeout_seconds: int = 60
    client_keep_alive_seconds: int = 3600
    xff_header_processing_mode: Literal["append", "preserve", "remove"] = "append"
    xff_client_port: bool = False
    preserve_host_header: bool = False
    desync_mitigation_mode: Literal["monitor", "defensive", "strictest"] = "defensive"
    drop_invalid_header_fields: bool = False
    tls_version_and_cipher_suite: bool = False
    http2: bool = True


@dataclass(frozen=True, slots=True)
class TransactionPattern:
    """A name that is given to requests, taken apart. `method` is a known verb, or `*` for any.

    A segment is a literal, has placeholders in braces, or is a last `*` for all that follows.
    """

    method: str
    segments: tuple[str, ...]
    openapi: bool = False


@dataclass(frozen=True, slots=True)
class OpenapiFile:
    """An OpenAPI document whose operations are names; `patterns` are filled in by whoever reads it."""

    file: str
    patterns: tuple[TransactionPattern, ...] = ()
    place: Place = attribute(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TransactionsConfig:
    """How requests get their names, which the load balancer does not give any.

    Attributes:
        patterns: Given names, before all others.
        openapi: Documents whose operations are given names.
        hint_header: Lower-case name of the response header in which a target names a request; empty for none.
        distinct_clients: How many must have used a word before it may be part of a learned name.
        limit: Most learned names.
        objective_seconds: The latency that a request should not exceed.
    """

    patterns: tuple[TransactionPattern, ...] = ()
    openapi: tuple[OpenapiFile, ...] = ()
    hint_header: str = ""
    distinct_clients: int = 3
    limit: int = 2000
    objective_seconds: float = 1.0

    @property
    def given(self) -> tuple[TransactionPattern, ...]:
        """All given names, those of the table first."""
        return (*self.patterns, *(pattern for document in self.openapi for pattern in document.patterns))


@dataclass(frozen=True, slots=True)
class Config:
    """A whole table."""

    listeners: tuple[ListenerConfig, ...]
    target_groups: Mapping[str, TargetGroupConfig]
    attributes: LoadBalancerAttributes = LoadBalancerAttributes()
    transactions: TransactionsConfig = TransactionsConfig()
