"""A target group: its members, their health, and which of them takes the next request."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from proxy.config.model import Scheme, TargetConfig, TargetGroupConfig
from proxy.errors import NoTargetError
from proxy.targets import slow_start
from proxy.targets.algorithms import ALGORITHMS, Algorithm, ByShare, Picker
from proxy.targets.anomaly import LOOK_SECONDS, AnomalyDetector
from proxy.targets.health import (
    CHECKED_STATES,
    DRAINING,
    REMOVED,
    ROUTABLE_STATES,
    ProbeResult,
    TargetHealth,
    carried,
    first_check_begins,
    has_enough_healthy,
    observe,
    registered,
)
from proxy.targets.stickiness import stickiness_of
from proxy.targets.target import HealthReason, HealthState, Target

logger = logging.getLogger(__name__)

_Key = tuple[str, str, int]
_REGISTERED_STATES = CHECKED_STATES | ROUTABLE_STATES


class Member(NamedTuple):
    """A target as another process may be told of it; plain values only."""

    scheme: Scheme
    address: str
    port: int
    host: str
    state: str
    reason: str
    detail: str
    is_anomalous: bool = False
    mitigated_share: float = 1.0


class TargetGroup:
    """The targets of one entry of `target_groups`.

    Every method is synchronous and runs on the event loop's thread, so a group never shows a half-made
    change.

    Args:
        config: As written.
        clock: Seconds that only go forward; `time.monotonic` outside tests.
        in_use: Whether some rule or default names the group. The targets of a group that is not used are
            `unused`: they are not checked and take no requests (alb.md 5.7, 5.8).
        on_removed: Called with each target whose deregistration delay is over; its requests in flight are to
            be cut.
        draw: A number in [0, 1) for `weighted_random`.

    Attributes:
        eligible: The targets that may take the next request, see `refresh`.
        fail_open: Whether `eligible` holds targets that are not healthy because too few are.
        expects: The client protocol that always goes with its protocol version; others are looked at (alb.md 5.1).
        stickiness: What leads clients back to their target, None if nothing does.
        unhealthy_routing_requests: Requests that were sent while the group failed open.
        nonsticky_requests: Requests under stickiness for which no cookie named a target that may take them.
    """

    def __init__(
        self,
        config: TargetGroupConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        in_use: bool = True,
        on_removed: Callable[[Target], None] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        attributes = config.attributes
        self.config = config
        self.name = config.name
        self.in_use = in_use
        self.eligible: tuple[Target, ...] = ()
        self.fail_open = False
        self.stickiness = stickiness_of(config.name, attributes.stickiness)
        self.expects = b"HTTP/1.1" if config.protocol_version == "HTTP1" else b""
        self.unhealthy_routing_requests = 0
        self.nonsticky_requests = 0
        self._clock = clock
        self._on_removed = on_removed
        self._algorithm: Algorithm = ALGORITHMS[attributes.algorithm](draw)
        self._picker: Picker = self._algorithm
        self._only: Target | None = None
        self._only_was_picked = False
        self._detector = AnomalyDetector(mitigates=attributes.anomaly_mitigation)
        self._next_look = 0.0
        self._is_mirror = False
        self._is_founding = True
        self._is_in_force = False
        self._targets: dict[_Key, Target] = {}
        self._addresses: dict[TargetConfig, tuple[str, ...] | None] = {}
        self._resolve_errors: dict[str, str] = {}
        for entry in config.targets:
            literal = _literal(entry)
            self._addresses[entry] = (literal,) if literal else None
        self._update_members()

    def __repr__(self) -> str:
        return f"<TargetGroup {self.name}: {len(self.eligible)} of {len(self._targets)} targets eligible>"

    # --- choosing ---

    def pick(self) -> Target:
        """Choose the target for one request; raise NoTargetError if the group has no registered target."""
        if self._only is not None:
            self._only_was_picked = True
            return self._only
        eligible = self.eligible
        if not eligible:
            raise NoTargetError(self._no_target())
        return self._picker.pick(eligible)

    def find(self, url: str) -> Target | None:
        """Return the target that a cookie names (`Target.url`), if it may take the next request."""
        for target in self.eligible:
            if target.url == url:
                self.unhealthy_routing_requests += self.fail_open
                return target
        return None

    def pick_other(self, than: Target) -> Target | None:
        """Choose a target for a request that `than` failed: the least busy one; None if there is no other.

        The algorithm is not asked: a turn taken here would send the next request to `than` again.
        """
        others = [target for target in self.eligible if target is not than]
        return min(others, key=_requests_in_flight) if others else None

    def refresh(self) -> None:
        """Make `eligible` anew; to be called after every change of health or membership.

        These are the healthy targets (and those of a group without health checks). If they are fewer than
        `minimum_healthy_targets` says, these are all that are registered, `initial` ones among them: a wrong
        health check must not take down a service that still answers (alb.md 5.8). Otherwise a target in `initial`
        waits for its first pass. A draining or unused target is never eligible.
        """
        healthy = self._healthy
        registered = tuple(target for target in self._targets.values() if target.state in _REGISTERED_STATES)
        is_enough = has_enough_healthy(len(healthy), len(registered), self.config.attributes)
        self.eligible = healthy if is_enough else registered
        self.fail_open = len(self.eligible) > len(healthy)
        self._choose_picker()

    def tend(self) -> None:
        """Do what time brings: end slow starts, look for anomalies. To be called about once a second.

        A group that mirrors another one is told of anomalies: that one sees the requests of all processes.
        """
        now = self._clock()
        seconds = self.config.attributes.slow_start_seconds
        for target in self._targets.values():
            if target.slow_start_since is not None and slow_start.share(target.slow_start_since, now, seconds) >= 1:
                target.slow_start_since = None
        if not self._is_mirror and now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            for target in self._detector.look(self._healthy):
                verdict = "anomalous: it fails more often than its peers" if target.is_anomalous else "normal again"
                logger.log(
                    logging.WARNING if target.is_anomalous else logging.INFO,
                    "target %s of %s is %s",
                    target.id,
                    self.name,
                    verdict,
                )
        self._choose_picker()

    @property
    def _healthy(self) -> tuple[Target, ...]:
        return tuple(target for target in self._targets.values() if target.state in ROUTABLE_STATES)

    def _choose_picker(self) -> None:
        """What is out of the ordinary costs only while it lasts."""
        self._take_turn_of_only()
        if self.fail_open:
            self._picker = _FailOpen(self, self._algorithm)
        elif any(target.slow_start_since is not None or target.mitigated_share < 1 for target in self.eligible):
            self._picker = ByShare(self._algorithm, self._share)
        else:
            self._picker = self._algorithm
        is_only = len(self.eligible) == 1 and not self.fail_open
        self._only = self.eligible[0] if is_only else None

    def _take_turn_of_only(self) -> None:
        """Leave the algorithm as if it had been asked while there was one target: whose turn it is comes from there."""
        if self._only is not None and self._only_was_picked:
            self._algorithm.pick((self._only,))
        self._only_was_picked = False

    def _share(self, target: Target) -> float:
        seconds = self.config.attributes.slow_start_seconds
        return target.mitigated_share * slow_start.share(target.slow_start_since, self._clock(), seconds)

    def _no_target(self) -> str:
        if not self.in_use:
            return f"target group {self.name} is not used by any rule, its targets take no requests"
        message = f"target group {self.name} has no registered target"
        return f"{message}: {self.resolve_error}" if self.resolve_error else message

    # --- health ---

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets, those that drain among them, in a stable order."""
        return tuple(self._targets.values())

    @property
    def checked_targets(self) -> tuple[Target, ...]:
        """The targets that the health checker has to probe."""
        return tuple(target for target in self._targets.values() if target.state in CHECKED_STATES)

    @property
    def is_settled(self) -> bool:
        """Whether every name was resolved or failed to, and no target waits for its first verdict."""
        return not self._awaits_addresses and all(
            target.state is not HealthState.INITIAL for target in self._targets.values()
        )

    def check_begins(self, target: Target) -> None:
        """Note that a health check of this target is under way."""
        self._set_health(target, first_check_begins(_health_of(target)))

    def observe(self, target: Target, result: ProbeResult) -> None:
        """Take in one health check; a target that drains or is removed stays as it is."""
        before = target.state
        self._set_health(target, observe(_health_of(target), result, self.config.health_check))
        if target.state is not before:
            level = logging.WARNING if target.state is HealthState.UNHEALTHY else logging.INFO
            why = f": {target.reason} ({target.detail})" if target.reason else ""
            logger.log(level, "target %s of %s is %s%s", target.id, self.name, target.state, why)
            self.refresh()

    def _set_health(self, target: Target, health: TargetHealth) -> None:
        if target.state is not health.state:
            target.since = self._clock()
            if health.state in ROUTABLE_STATES:
                self._becomes_healthy(target)
            else:
                target.slow_start_since = None
                target.is_anomalous = False
                target.mitigated_share = 1.0
        target.state = health.state
        target.reason = health.reason
        target.detail = health.detail
        target.streak = health.streak

    def _becomes_healthy(self, target: Target) -> None:
        if slow_start.enters(target, self._healthy, seconds=self.config.attributes.slow_start_seconds):
            target.slow_start_since = self._clock()
        target.is_founder = False

    # --- membership ---

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that have to be resolved; an address as a host is none."""
        return tuple(dict.fromkeys(entry.host for entry in self._addresses if not _literal(entry)))

    @property
    def resolve_error(self) -> str | None:
        """What is wrong with the resolving of names at present; the addresses known before stay in use."""
        return "; ".join(self._resolve_errors.values()) or None

    def set_addresses(self, name: str, addresses: Sequence[str]) -> None:
        """Take in what a name resolves to: new addresses are registered, those that are gone drain."""
        self._resolve_errors.pop(name, None)
        for entry in self._addresses:
            if entry.host == name:
                self._addresses[entry] = tuple(addresses)
        self._update_members()

    def set_resolve_error(self, name: str, message: str) -> None:
        """Note that a name did not resolve; nothing is deregistered for that."""
        if self._resolve_errors.get(name) != message:
            logger.warning("target group %s: %s; its known addresses stay in use", self.name, message)
        self._resolve_errors[name] = message
        self._update_members()

    def deregister_all(self) -> None:
        """Let every target drain, for a group that the new table no longer has."""
        self._addresses.clear()
        self._resolve_errors.clear()
        self._update_members()

    def remove_drained(self) -> None:
        """Remove each target whose deregistration delay is over and hand it to `on_removed`.

        A target stays `draining` for the whole delay even with nothing in flight (alb.md 5.4).
        """
        removed = [target for target in self._targets.values() if self._drains_for(target) <= 0]
        for target in removed:
            del self._targets[target.key]
            self._set_health(target, REMOVED)
            logger.info("target %s of %s is removed, %d requests in flight", target.id, self.name, target.in_flight)
            if self._on_removed is not None:
                self._on_removed(target)

    def seconds_to_next_removal(self) -> float | None:
        """Seconds until `remove_drained` has something to do, None if no target drains."""
        waits = [self._drains_for(target) for target in self._targets.values() if target.draining_since is not None]
        return max(0.0, min(waits)) if waits else None

    def _drains_for(self, target: Target) -> float:
        if target.draining_since is None:
            return float("inf")
        return target.draining_since + self.config.attributes.deregistration_delay_seconds - self._clock()

    @property
    def _awaits_addresses(self) -> bool:
        return any(
            addresses is None and entry.host not in self._resolve_errors for entry, addresses in self._addresses.items()
        )

    def _update_members(self) -> None:
        """Register and deregister until the targets are those that the addresses ask for.

        Nothing is deregistered while a name still waits for its first answer: after a reload that only writes
        a target in another way (a name for its address) the same target must not drain in between.

        A target that comes back while it drains is registered anew: it begins at `initial` and its first pass
        makes it healthy, as with any registration. Its connections and counts stay.
        """
        wanted: dict[_Key, TargetConfig] = {}
        for entry, addresses in self._addresses.items():
            for address in addresses or ():
                wanted.setdefault((entry.scheme, address, entry.port), entry)
        for key, entry in wanted.items():
            target = self._targets.get(key)
            if target is None:
                self._register(Target(entry.scheme, key[1], entry.port, entry.host))
            else:
                target.host = entry.host
                if target.draining_since is not None:
                    self._register(target)
        if not self._awaits_addresses:
            for key, target in self._targets.items():
                if key not in wanted and target.draining_since is None:
                    self._deregister(target)
        self._is_founding = self._awaits_addresses or all(
            target.draining_since is not None for target in self._targets.values()
        )
        self.refresh()

    def _register(self, target: Target) -> None:
        target.draining_since = None
        target.since = self._clock()
        target.is_founder = self._is_founding
        self._set_health(target, registered(self.config.health_check, in_use=self.in_use))
        self._targets[target.key] = target
        if self._is_in_force:
            self._log_registration(target)

    def announce(self, known: Collection[_Key] = ()) -> None:
        """Log the targets of a table that is in force now, those that the table before had (`known`) excepted."""
        self._is_in_force = True
        for target in self._targets.values():
            if target.draining_since is None and target.key not in known:
                self._log_registration(target)

    def _log_registration(self, target: Target) -> None:
        logger.info("target %s (%s) is registered with %s", target.id, target.host, self.name)

    def _deregister(self, target: Target) -> None:
        target.draining_since = self._clock()
        self._set_health(target, DRAINING)
        logger.info("target %s of %s drains, %d requests in flight", target.id, self.name, target.in_flight)

    # --- in several processes ---

    def members(self) -> list[Member]:
        """Every target with its health, for `mirror` in another process."""
        return [
            Member(
                t.scheme,
                t.address,
                t.port,
                t.host,
                str(t.state),
                str(t.reason),
                t.detail,
                t.is_anomalous,
                t.mitigated_share,
            )
            for t in self._targets.values()
        ]

    def mirror(self, members: Sequence[Member]) -> None:
        """Have exactly these targets, in this health: that of the group in the process that checks them.

        A target that is no longer among them is removed and handed to `on_removed`.
        """
        self._is_mirror = True
        is_founding = not self._targets
        wanted = {(member.scheme, member.address, member.port): member for member in members}
        for key in [key for key in self._targets if key not in wanted]:
            removed = self._targets.pop(key)
            if self._on_removed is not None:
                self._on_removed(removed)
        for key, member in wanted.items():
            target = self._targets.get(key)
            if target is None:
                target = self._targets[key] = Target(member.scheme, member.address, member.port)
                target.is_founder = is_founding
            target.host = member.host
            health = TargetHealth(HealthState(member.state), HealthReason(member.reason), member.detail, 0)
            self._set_health(target, health)
            target.is_anomalous = member.is_anomalous
            target.mitigated_share = member.mitigated_share
        self.refresh()

    # --- reload and view ---

    def carry_over(self, previous: TargetGroup) -> None:
        """Take over from the group of the same name in the table before, which must not be used afterwards.

        A target with the same scheme, address and port stays the same object with its health, its connections
        and its counts; one that the new table no longer has drains here. A name that has no answer yet keeps
        the addresses it had. To be called in one step with the swap of the tables.
        """
        same_checks = previous.config.health_check == self.config.health_check
        self.unhealthy_routing_requests = previous.unhealthy_routing_requests
        self.nonsticky_requests = previous.nonsticky_requests
        previous._take_turn_of_only()
        if self.config.attributes.algorithm == previous.config.attributes.algorithm:
            self._algorithm = previous._algorithm
        self._detector.carry_over(previous._detector)
        self._next_look = previous._next_look
        self._is_mirror = previous._is_mirror
        added = [target for key, target in self._targets.items() if key not in previous._targets]
        self._targets = {**self._targets, **previous._targets}
        for target in added:
            target.is_founder = previous._is_founding
            if target.state in ROUTABLE_STATES:
                self._becomes_healthy(target)
        for target in previous._targets.values():
            before = _health_of(target)
            health = carried(before, self.config.health_check, in_use=self.in_use, same_checks=same_checks)
            self._set_health(target, health)
        for entry, addresses in self._addresses.items():
            if addresses is None:
                self._addresses[entry] = previous._addresses.get(entry)
        self._update_members()

    def describe(self, *, wall_clock: Callable[[], float] = time.time) -> dict[str, Any]:
        """Return the group as the admin API shows it; `since` is in seconds since 1970."""
        offset = wall_clock() - self._clock()
        return {
            "name": self.name,
            "in_use": self.in_use,
            "fail_open": self.fail_open,
            "resolve_error": self.resolve_error,
            "targets": [
                {
                    "id": target.id,
                    "host": target.host,
                    "scheme": target.scheme,
                    "state": str(target.state),
                    "reason": str(target.reason),
                    "detail": target.detail,
                    "in_flight": target.in_flight,
                    "requests": target.requests,
                    "since": round(target.since + offset, 3),
                    "slow_start": target.slow_start_since is not None,
                    "anomaly_detection": {
                        "result": "anomalous" if target.is_anomalous else "normal",
                        "mitigation_in_effect": "yes" if target.mitigated_share < 1 else "no",
                    },
                }
                for target in self._targets.values()
            ],
        }


class _FailOpen(Picker):
    """Picks as usual, and counts: UnhealthyRoutingRequestCount (alb.md 5.8)."""

    __slots__ = ("_algorithm", "_group")

    def __init__(self, group: TargetGroup, algorithm: Algorithm) -> None:
        self._group = group
        self._algorithm = algorithm

    def pick(self, targets: tuple[Target, ...]) -> Target:
        self._group.unhealthy_routing_requests += 1
        return self._algorithm.pick(targets)


def _requests_in_flight(target: Target) -> int:
    return target.in_flight


def _health_of(target: Target) -> TargetHealth:
    return TargetHealth(target.state, target.reason, target.detail, target.streak)


def _literal(entry: TargetConfig) -> str | None:
    """The address in its shortest form, or what has none as it is; None if the host is a name to be resolved."""
    if not entry.has_address:
        return entry.host
    try:
        return str(ip_address(entry.host))
    except ValueError:
        return None
