"""The table and its counts as the admin API shows them: pure, from a runtime and a snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from proxy.admin import models
from proxy.admin.control import RuntimeView
from proxy.config.model import (
    ActionConfig,
    AuthenticationConfig,
    ConditionConfig,
    FixedResponseConfig,
    ForwardConfig,
    ListenerConfig,
    RedirectConfig,
)
from proxy.observe import families
from proxy.observe.families import Family
from proxy.observe.live import ReloadState
from proxy.observe.snapshot import Snapshot
from proxy.rules.explain import authentication_shown

DEFAULT_RULE = "default"

_RuleKey = tuple[str, str]


def rules(runtime: RuntimeView | None, snapshot: Snapshot) -> models.Rules:
    """Every listener with its rules in the order they are tried, each with its counts."""
    if runtime is None:
        return models.Rules(listeners=[])
    counts = _RuleCounts(snapshot)
    return models.Rules(listeners=[_listener(listener.config, counts) for listener in runtime.listeners.values()])


def target_groups(runtime: RuntimeView | None) -> models.TargetGroups:
    """Every target group with its targets and their health."""
    groups = runtime.groups.values() if runtime else ()
    return models.TargetGroups(
        target_groups=[models.TargetGroup.model_validate(dict(group.describe())) for group in groups]
    )


def reload_status(state: ReloadState) -> models.ReloadStatus:
    """The last load of `routes.yaml`."""
    return models.ReloadStatus(
        successful=state.successful,
        timestamp=state.timestamp,
        counts=dict(state.counts),
        problems=[models.ProblemReport.of(problem) for problem in state.problems],
    )


def totals(snapshot: Snapshot) -> models.Totals:
    """Sums over all labels."""

    def total(family: Family) -> int:
        return int(sum(sample["value"] for sample in snapshot["values"].get(family.name, ())))

    return models.Totals(
        requests=total(families.REQUESTS),
        elb_errors=total(families.ELB_ERRORS),
        cut_responses=total(families.CUT_RESPONSES),
        in_flight=total(families.IN_FLIGHT),
        access_log_dropped=total(families.LOG_DROPPED),
    )


class _RuleCounts:
    """A snapshot's counts by (listener, rule), summed over target groups, methods and codes."""

    def __init__(self, snapshot: Snapshot) -> None:
        values, distributions = snapshot["values"], snapshot["distributions"]
        self.hits: defaultdict[_RuleKey, int] = defaultdict(int)
        self.errors: defaultdict[_RuleKey, int] = defaultdict(int)
        for sample in values.get(families.REQUESTS.name, ()):
            listener, rule, _, _, code = sample["labels"]
            self.hits[listener, rule] += int(sample["value"])
            if code.startswith("5"):
                self.errors[listener, rule] += int(sample["value"])
        self.last_hit: dict[_RuleKey, float] = {}
        for sample in values.get(families.RULE_LAST_HIT.name, ()):
            listener, rule = sample["labels"]
            self.last_hit[listener, rule] = sample["value"]
        self._durations: dict[_RuleKey, models.Durations] = {}
        for distribution in distributions.get(families.REQUEST_DURATION.name, ()):
            listener, rule, _ = distribution["labels"]
            durations = self._durations.setdefault((listener, rule), _no_durations())
            durations.counts = [a + b for a, b in zip(durations.counts, distribution["counts"], strict=True)]
            durations.sum += distribution["sum"]

    def durations(self, key: _RuleKey) -> models.Durations:
        return self._durations.get(key) or _no_durations()


def _no_durations() -> models.Durations:
    bounds = list(families.DURATION_BUCKETS)
    return models.Durations(bounds=bounds, counts=[0] * (len(bounds) + 1), sum=0.0)


def _listener(config: ListenerConfig, counts: _RuleCounts) -> models.Listener:
    written = [(rule.name, rule.priority, rule.conditions, rule.authentication, rule.action) for rule in config.rules]
    default = (DEFAULT_RULE, None, (), config.default_authentication, config.default)
    return models.Listener(
        name=config.name,
        port=config.port,
        protocol=config.protocol,
        rules=[_rule(config.name, *rule, counts) for rule in (*written, default)],
    )


def _rule(
    listener: str,
    name: str,
    priority: int | None,
    conditions: Sequence[ConditionConfig],
    authentication: AuthenticationConfig | None,
    action: ActionConfig,
    counts: _RuleCounts,
) -> models.Rule:
    key = (listener, name)
    return models.Rule(
        name=name,
        priority=priority,
        conditions=[_condition(condition) for condition in conditions],
        authentication=_authentication(authentication),
        action=_action(action),
        hits=counts.hits[key],
        errors=counts.errors[key],
        last_hit=counts.last_hit.get(key) or None,
        durations=counts.durations(key),
    )


def _condition(config: ConditionConfig) -> models.Condition:
    return models.Condition(
        field=config.field,
        values=list(config.values),
        regex_values=list(config.regex_values),
        header_name=config.header_name,
        pairs=[models.QueryPair(key=pair.key, value=pair.value) for pair in config.pairs],
    )


def _authentication(config: AuthenticationConfig | None) -> models.Authentication | None:
    shown = authentication_shown(config)
    return None if shown is None else models.Authentication.model_validate(shown)


def _action(config: ActionConfig) -> models.Action:
    match config:
        case ForwardConfig():
            return models.Action(type="forward", target_groups=dict(config.weights))
        case RedirectConfig():
            return models.Action(
                type="redirect",
                redirect=models.Redirect(
                    status_code=config.status_code,
                    protocol=config.protocol,
                    host=config.host,
                    port=config.port,
                    path=config.path,
                    query=config.query,
                ),
            )
        case FixedResponseConfig():
            return models.Action(
                type="fixed-response",
                fixed_response=models.FixedResponse(
                    status_code=config.status_code,
                    content_type=config.content_type,
                    message_body=config.message_body,
                ),
            )
