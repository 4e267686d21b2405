"""Whether the gateway can serve: a table, and a target to send to for whatever no rule takes."""

from __future__ import annotations

from proxy.admin.control import RuntimeView, TargetGroupView
from proxy.config.model import ForwardConfig
from proxy.targets.target import HealthState

SERVING_STATES = frozenset((HealthState.HEALTHY.value, HealthState.UNAVAILABLE.value))
"""`unavailable` is the state of a target whose health check is switched off (alb.md 5.7)."""


def reasons_against(runtime: RuntimeView | None, *, is_listening: bool = True) -> list[str]:
    """Return why the gateway is not ready; empty when it is.

    A bad reload is no reason, since the table before it serves. Nor is a group that only a rule forwards to:
    one carved-out service that is down must not take the whole gateway out of its load balancer. Targets that
    get requests only because none is healthy (alb.md 5.8) do not count as a target to send to.
    """
    if runtime is None:
        return ["no table has been loaded"]
    reasons = [] if is_listening else ["the listeners' ports are not open"]
    for listener in runtime.listeners.values():
        default = listener.config.default
        if not isinstance(default, ForwardConfig):
            continue
        names = [name for name, weight in default.weights if weight > 0]
        if not names:
            reasons.append(f"listener {listener.config.name}: every weight of the default forward is 0")
        for name in names:
            reason = _reason_against_group(name, runtime.groups.get(name))
            if reason:
                reasons.append(f"listener {listener.config.name}: {reason}")
    return reasons


def _reason_against_group(name: str, group: TargetGroupView | None) -> str | None:
    described = group.describe() if group else {}
    targets = described.get("targets", ())
    if any(target["state"] in SERVING_STATES for target in targets):
        return None
    if not targets:
        why = described.get("resolve_error")
        return f"target group {name} has no target" + (f": {why}" if why else "")
    states = ", ".join(
        f"{target['id']} {target['state']}" + (f" ({target['reason']})" if target["reason"] else "")
        for target in targets
    )
    return f"target group {name} has no healthy target: {states}"
