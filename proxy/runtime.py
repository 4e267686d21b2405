"""The table in force: compiled listeners and living target groups, built whole and swapped whole."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from proxy.config.model import ActionConfig, Config, ForwardConfig, ListenerConfig, LoadBalancerAttributes
from proxy.forward.pool import TargetPool
from proxy.forward.response_headers import ResponseHeaders
from proxy.observe.metrics import Metrics, RouteSeries
from proxy.rules.compile import compile_table
from proxy.rules.compiled import CompiledRule
from proxy.rules.table import Table
from proxy.targets.group import TargetGroup
from proxy.targets.target import Target


class Listener:
    """A listener with its compiled rules and the counts of its routes."""

    __slots__ = ("_metrics", "attributes", "config", "known_series", "name", "response_headers", "table")

    def __init__(
        self, config: ListenerConfig, table: Table, attributes: LoadBalancerAttributes, metrics: Metrics
    ) -> None:
        self.config = config
        self.name = config.name
        self.table = table
        self.attributes = attributes
        self.response_headers = ResponseHeaders.of(config.attributes)
        self._metrics = metrics
        self.known_series: dict[tuple[int, str], RouteSeries] = {}

    def series(self, rule: CompiledRule, target_group: str) -> RouteSeries:
        """The counts of this rule with this target group (empty for none)."""
        key = (rule.index, target_group)
        series = self.known_series.get(key)
        if series is None:
            series = self.known_series[key] = self._metrics.series(self.name, rule.name, target_group)
        return series

    def unmatched_series(self) -> RouteSeries:
        """The counts of what never reached the rules."""
        return self._metrics.series(self.name, "", "")


class Runtime:
    """One table in force. Nothing in it is replaced; a reload makes another one."""

    __slots__ = ("by_port", "config", "groups", "listeners")

    def __init__(self, config: Config, listeners: dict[str, Listener], groups: dict[str, TargetGroup]) -> None:
        self.config = config
        self.listeners = listeners
        self.groups = groups
        self.by_port = {listener.config.port: listener for listener in listeners.values()}

    def listener_at(self, port: int) -> Listener | None:
        """The listener of a port; a single listener takes every port, for embedding and for tests."""
        listener = self.by_port.get(port)
        if listener is None and len(self.by_port) == 1:
            (listener,) = self.by_port.values()
        return listener


def build(
    config: Config,
    metrics: Metrics,
    *,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> Runtime:
    """Compile a table. Its groups have no target with a name yet: `TargetKeeper.prepare` resolves them.

    Args:
        config: The table as written.
        metrics: Where its routes are counted.
        clock, draw: Time and chance of its target groups; arguments for tests only.
    """
    used = {name for listener in config.listeners for name in _groups_named_by(listener)}
    listeners = {
        listener.name: Listener(listener, compile_table(listener), config.attributes, metrics)
        for listener in config.listeners
    }
    groups = {
        name: TargetGroup(group, clock=clock, in_use=name in used, on_removed=cut_requests, draw=draw)
        for name, group in config.target_groups.items()
    }
    return Runtime(config, listeners, groups)


def carry_over(runtime: Runtime, previous: Runtime) -> None:
    """Let the groups of a new table take over the targets of those with the same name: health, connections, counts.

    To be called in one step with the swap, without an `await` between.
    """
    for name, group in runtime.groups.items():
        before = previous.groups.get(name)
        known = {target.key for target in before.targets if target.draining_since is None} if before else set()
        if before is not None:
            group.carry_over(before)
            if group.config.transport != before.config.transport:
                for target in group.targets:
                    _change_transport(target)
        group.announce(known)


def _change_transport(target: Target) -> None:
    """Its connections speak another protocol than the next ones will: they end with what is in flight."""
    if isinstance(target.pool, TargetPool):
        target.pool.retire()
        target.pool = None


def cut_requests(target: Target) -> None:
    """End what is still in flight on a target whose deregistration delay is over (alb.md 5.4)."""
    if isinstance(target.pool, TargetPool):
        target.pool.close()
        target.pool = None


def weights(config: Config) -> dict[tuple[str, str, str], int]:
    """(listener, rule, target group) to weight, of every forward of the table."""
    found: dict[tuple[str, str, str], int] = {}
    for listener in config.listeners:
        actions: list[tuple[str, ActionConfig]] = [(rule.name, rule.action) for rule in listener.rules]
        for name, action in (*actions, ("default", listener.default)):
            if isinstance(action, ForwardConfig):
                found |= {(listener.name, name, group): weight for group, weight in action.weights}
    return found


def serving_rules(config: Config) -> list[tuple[str, str]]:
    """(listener, rule) of every rule of the table, default rules included."""
    return [
        (listener.name, name)
        for listener in config.listeners
        for name in (*(rule.name for rule in listener.rules), "default")
    ]


def _groups_named_by(listener: ListenerConfig) -> set[str]:
    actions: list[ActionConfig] = [listener.default, *(rule.action for rule in listener.rules)]
    return {name for action in actions if isinstance(action, ForwardConfig) for name, _ in action.weights}


Draw = Callable[[], float]
