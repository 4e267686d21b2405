"""What the radar's endpoints answer. Shares, benefit and ease are from 0 to 1, times in seconds, `*_hit` epochs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

Grade = Literal["A", "B", "C"]
State = Literal["collecting", "ready"]


class BenefitParts(BaseModel):
    demand_share: float = Field(description="Of the monolith's work, waiting left out.")
    tail_pain_share: float = Field(description="Of the seconds over the latency objective.")
    relief_share: float = Field(description="Of the waiting that requests inflict on one another.")


class EaseParts(BaseModel):
    write_share: float
    session_crossing: float
    state_penalty: float
    streaming_or_upload: float


class Interval(BaseModel):
    value: float
    low: float
    high: float


class Without(BaseModel):
    """The monolith without the candidate, by a queueing model."""

    requests_in_flight: float
    requests_in_flight_now: float
    time_share: float
    p95_of_rest: float
    p95_of_rest_now: float
    low: float
    high: float
    model: Literal["many-server queue", "no queue seen"]


class Candidate(BaseModel):
    rank: int
    name: str
    transactions: list[str]
    target_group: str
    requests: int
    benefit: float
    ease: float
    priority: float = Field(description="benefit x ease")
    benefit_parts: BenefitParts
    ease_parts: EaseParts
    share: Interval = Field(description="demand_share with nine of ten draws of the bootstrap.")
    stability: float = Field(description="The part of the draws in which it stays among the first five.")
    grade: Grade
    state: State
    reasons: list[str]
    patterns: list[str] = Field(description="path-pattern values; those that begin with ^ are regular expressions.")
    left_out: list[str] = Field(description="Transactions that no rule can take.")
    rule: str = Field(description="YAML to paste under a listener's rules.")
    rule_target_group: str = Field(description="YAML to paste under target_groups; empty if it is there.")
    rule_listener: str
    rule_note: str
    without: Without


class Bundle(Candidate):
    why: list[str] = Field(description="Why its transactions must move together.")


class Remaining(BaseModel):
    transactions: int
    requests: int
    seconds: float
    request_share: float
    time_share: float


class Candidates(BaseModel):
    """The document of `strangler candidates --json`."""

    source: str
    since: float
    seconds: float
    requests: int
    state: State
    confidence: Grade
    method: Literal["worked", "quiet", "wall"]
    workers: int | None
    candidates: list[Candidate]
    bundles: list[Bundle]
    remaining: Remaining


class ConditionValue(BaseModel):
    field: str
    value: str
    hits: int = Field(description="Estimated from the requests that were looked at; exact below 50 a second.")
    last_hit: float | None


class RuleCoverage(BaseModel):
    listener: str
    rule: str
    priority: int | None
    hits: int
    last_hit: float | None
    conditions: list[ConditionValue]
    sampled: int = Field(description="Requests of the rule that were looked at.")
    never: bool = Field(description="Whether it had no hit since the gateway's start.")
    shadowed_by: str | None = Field(description="The proof that it can never win, if there is one.")


class Coverage(BaseModel):
    rules: list[RuleCoverage]


class ProgressPoint(BaseModel):
    """What was served in the `seconds` up to `at`."""

    at: float
    seconds: float
    monolith_requests: int
    moved_requests: int
    monolith_seconds: float
    moved_seconds: float


class Silent(BaseModel):
    transaction: str
    last_hit: float
    days: float = Field(description="Days since then in which the gateway ran.")


class Progress(BaseModel):
    points: list[ProgressPoint]
    days: float
    ready_to_delete: list[Silent]
