"""What the admin API answers; its check and explain documents are those of the command line's `--json`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from proxy.config.api_codes import api_code
from proxy.config.problem import Problem


class ApiError(BaseModel):
    """Why a request to the admin API was refused."""

    error: str


class ProblemReport(BaseModel):
    """One problem in `routes.yaml`."""

    severity: Literal["error", "warning"]
    code: str
    line: int
    column: int
    path: str
    message: str
    api_code: str | None = Field(default=None, description="What the ELBv2 API would say, if it would refuse it too.")

    @classmethod
    def of(cls, problem: Problem) -> ProblemReport:
        place = problem.place
        return cls(
            severity=problem.severity,
            code=problem.code,
            line=place.line,
            column=place.column,
            path=place.path,
            message=problem.message,
            api_code=api_code(problem),
        )


class CheckReport(BaseModel):
    """The document of `strangler check --json`."""

    ok: bool
    problems: list[ProblemReport]


class ReloadReport(CheckReport):
    """A reload that went well; `problems` holds warnings only."""

    changed: bool = Field(description="False when the file says what already serves.")


class Alive(BaseModel):
    alive: Literal[True] = True


class Readiness(BaseModel):
    """Whether requests can be served."""

    ready: bool
    reasons: list[str] = Field(description="Why not; empty when ready.")


class ReloadStatus(BaseModel):
    """The last load of `routes.yaml`."""

    successful: bool
    timestamp: float = Field(description="Seconds since the epoch.")
    counts: dict[str, int] = Field(description="Loads so far by result.")
    problems: list[ProblemReport]


class Totals(BaseModel):
    """Sums over everything since the start."""

    requests: int
    elb_errors: int = Field(description="Responses that the gateway made itself.")
    cut_responses: int
    in_flight: int
    access_log_dropped: int


class Status(BaseModel):
    version: str
    uptime_seconds: float
    reload: ReloadStatus
    totals: Totals


class QueryPair(BaseModel):
    key: str | None
    value: str


class Condition(BaseModel):
    """A condition as written."""

    field: str
    values: list[str]
    regex_values: list[str]
    header_name: str | None
    pairs: list[QueryPair]


class Redirect(BaseModel):
    status_code: int
    protocol: str
    host: str
    port: str
    path: str
    query: str


class FixedResponse(BaseModel):
    status_code: int
    content_type: str | None
    message_body: str


class Authentication(BaseModel):
    """What comes before a rule's action, without its client and secret."""

    type: Literal["authenticate-oidc", "authenticate-cognito", "jwt-validation"]
    issuer: str
    on_unauthenticated_request: Literal["authenticate", "deny", "allow"] | None = Field(
        description="Null for jwt-validation, which refuses."
    )


class Action(BaseModel):
    """An action as written; the part that its type names is filled."""

    type: Literal["forward", "redirect", "fixed-response"]
    target_groups: dict[str, int] | None = Field(default=None, description="Weights, 0 to 999.")
    redirect: Redirect | None = None
    fixed_response: FixedResponse | None = None


class Durations(BaseModel):
    """A histogram of seconds. `counts` has one more entry than `bounds`, for all that took longer."""

    bounds: list[float]
    counts: list[int]
    sum: float


class Rule(BaseModel):
    name: str
    priority: int | None = Field(description="Null for the default rule.")
    conditions: list[Condition]
    authentication: Authentication | None
    action: Action
    hits: int
    errors: int = Field(description="Hits that ended with a 5xx.")
    last_hit: float | None = Field(description="Seconds since the epoch.")
    durations: Durations


class Listener(BaseModel):
    name: str
    port: int
    protocol: Literal["HTTP", "HTTPS"]
    rules: list[Rule] = Field(description="In the order they are tried; the default rule is the last.")


class Rules(BaseModel):
    listeners: list[Listener]


class AnomalyDetection(BaseModel):
    """As the API's `AnomalyDetection` of a target (alb.md 5.2)."""

    result: Literal["normal", "anomalous"] = "normal"
    mitigation_in_effect: Literal["yes", "no"] = "no"


class Target(BaseModel):
    id: str
    host: str
    scheme: str
    state: str
    reason: str
    detail: str
    in_flight: int
    requests: int
    since: float = Field(description="When it came into its state, in seconds since the epoch.")
    slow_start: bool = False
    anomaly_detection: AnomalyDetection = AnomalyDetection()


class TargetGroup(BaseModel):
    name: str
    in_use: bool
    fail_open: bool = Field(description="No target is healthy, so all of them get requests.")
    resolve_error: str | None
    targets: list[Target]


class TargetGroups(BaseModel):
    target_groups: list[TargetGroup]


HeaderLine = Annotated[str, Field(max_length=16384)]


class ExplainQuestion(BaseModel):
    """The request to explain."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        default="/",
        max_length=16384,
        description="`http://host/path?query` or `/path?query`, taken as written.",
        examples=["http://api.mycompany.com/api/users?x=1"],
    )
    method: str = Field(default="GET", min_length=1, max_length=64)
    header: list[HeaderLine] = Field(
        default=[], max_length=100, description="Header lines, `Name: value`; may be repeated."
    )
    source_ip: str = Field(default="127.0.0.1", max_length=64)
    listener: str | None = Field(default=None, max_length=256, description="Chosen by the URL's port when not given.")
    target: str | None = Field(
        default=None,
        max_length=16384,
        description="The raw request target, where a URL cannot express it.",
    )


class ExplainedRule(BaseModel):
    name: str
    priority: int | None


class ExplainedRedirect(BaseModel):
    status: int
    location: str


class ExplainedFixedResponse(BaseModel):
    status: int
    content_type: str | None
    body: str


class Forwarded(BaseModel):
    host: str | None
    target: str


class RefusedBy(BaseModel):
    condition: str
    saw: str | None


class TriedRule(BaseModel):
    name: str
    priority: int | None
    matched: bool
    refused_by: RefusedBy | None


class Explanation(BaseModel):
    """The document of `strangler explain --json`."""

    model_config = ConfigDict(extra="allow")

    listener: str
    rule: ExplainedRule
    authentication: Authentication | None = None
    action: str
    target_groups: dict[str, int] | None
    redirect: ExplainedRedirect | None
    fixed_response: ExplainedFixedResponse | None
    forwarded: Forwarded | None
    tried: list[TriedRule]
