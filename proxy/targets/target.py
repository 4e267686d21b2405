"""The one mutable record: a target as it is now."""

from __future__ import annotations

from enum import StrEnum

from proxy.config.model import Scheme


class HealthState(StrEnum):
    """The states of a target, in the API's words (alb.md 5.7)."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    UNUSED = "unused"
    UNAVAILABLE = "unavailable"


class HealthReason(StrEnum):
    """Why a target is in its state, in the API's words (alb.md 5.7). `NONE` goes with `healthy`."""

    NONE = ""
    REGISTRATION_IN_PROGRESS = "Elb.RegistrationInProgress"
    INITIAL_HEALTH_CHECKING = "Elb.InitialHealthChecking"
    INTERNAL_ERROR = "Elb.InternalError"
    RESPONSE_CODE_MISMATCH = "Target.ResponseCodeMismatch"
    TIMEOUT = "Target.Timeout"
    FAILED_HEALTH_CHECKS = "Target.FailedHealthChecks"
    NOT_REGISTERED = "Target.NotRegistered"
    NOT_IN_USE = "Target.NotInUse"
    DEREGISTRATION_IN_PROGRESS = "Target.DeregistrationInProgress"
    HEALTH_CHECK_DISABLED = "Target.HealthCheckDisabled"


class Target:
    """One address and port, or one function, that takes requests.

    Attributes:
        scheme, address, port: Where to connect; `address` is an IP address as text, or a function's name.
        url: `http://address:port`, its name in cookies.
        host: The name it was resolved from, or the address itself.
        state, reason: Its health, as the API would tell it. Only its group changes them.
        detail: A sentence for people about `reason`, such as `got 500, wanted 200-299`.
        in_flight: Requests sent and not yet ended.
        requests: Requests ever sent.
        failures: How many of them ended with a 5xx response or an error of the connection.
        is_anomalous, mitigated_share: Whether it fails more often than its peers, and the part of a full share that it
            gets for that; see `proxy.targets.anomaly`.
        is_founder: Whether it was registered into an empty group and has not been healthy yet.
        slow_start_since: When it entered slow start, on the group's clock; None outside of it.
        streak: Health checks in a row that speak against `state`.
        since: When it came into `state`, on the group's clock.
        draining_since: When it was deregistered, on the group's clock; None while it is registered.
        pool: The forwarder's connections to it; owned by `forward.pool`, opaque here.
    """

    __slots__ = (
        "address",
        "detail",
        "draining_since",
        "failures",
        "host",
        "id",
        "in_flight",
        "is_anomalous",
        "is_founder",
        "mitigated_share",
        "pool",
        "port",
        "reason",
        "requests",
        "scheme",
        "since",
        "slow_start_since",
        "state",
        "streak",
        "url",
    )

    def __init__(self, scheme: Scheme, address: str, port: int, host: str | None = None) -> None:
        self.scheme = scheme
        self.address = address
        self.port = port
        self.host = host or address
        if scheme not in ("http", "https"):
            self.id = address
            self.url = f"{scheme}:{address}"
        else:
            self.id = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            self.url = f"{scheme}://{self.id}"
        self.state = HealthState.INITIAL
        self.reason = HealthReason.REGISTRATION_IN_PROGRESS
        self.detail = ""
        self.streak = 0
        self.since = 0.0
        self.draining_since: float | None = None
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.is_anomalous = False
        self.mitigated_share = 1.0
        self.is_founder = False
        self.slow_start_since: float | None = None
        self.pool: object | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes two targets of one group the same: scheme, address and port."""
        return (self.scheme, self.address, self.port)

    def __repr__(self) -> str:
        return f"<Target {self.url} {self.state}>"
