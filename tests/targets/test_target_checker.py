"""The health check loop with a scripted probe and a clock that the test moves."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from proxy.config.model import HealthCheckConfig, TargetConfig, TargetGroupConfig
from proxy.targets.checker import HealthChecker, run_probe
from proxy.targets.group import TargetGroup
from proxy.targets.health import ProbeResult
from proxy.targets.target import HealthReason, Target

CHECK = HealthCheckConfig(interval_seconds=10, timeout_seconds=5)


class ManualTime:
    """A clock and a sleep that move only by `advance`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._order, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.now = end


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class ScriptedProbe:
    """Answers 200 unless told otherwise, and notes each call with its time."""

    def __init__(self, time: ManualTime) -> None:
        self.time = time
        self.status: dict[str, int] = {}
        self.fault: dict[str, Exception] = {}
        self.hanging: set[str] = set()
        self.calls: list[tuple[float, str]] = []

    async def __call__(self, target: Target, config: HealthCheckConfig) -> ProbeResult:
        self.calls.append((self.time.now, target.address))
        if target.address in self.hanging:
            await asyncio.Event().wait()
        if target.address in self.fault:
            raise self.fault[target.address]
        return ProbeResult(status=self.status.get(target.address, 200))

    def times(self, address: str) -> list[float]:
        return [time for time, called in self.calls if called == address]


def group_of(*addresses: str, check: HealthCheckConfig = CHECK) -> TargetGroup:
    entries = tuple(TargetConfig("http", address, 80) for address in addresses)
    return TargetGroup(TargetGroupConfig("users", entries, check))


def run(scenario: Callable[[ManualTime, ScriptedProbe, HealthChecker], Awaitable[None]]) -> None:
    """Run a scenario with a checker and see that it leaves no task behind."""

    async def main() -> None:
        time = ManualTime()
        probe = ScriptedProbe(time)
        checker = HealthChecker(probe, clock=time.clock, sleep=time.sleep, draw=lambda: 0.0)
        try:
            await scenario(time, probe, checker)
        finally:
            await checker.stop()
        assert checker.watched == frozenset()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_target_is_probed_at_once_and_then_every_interval() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        group = group_of("10.0.0.1", "10.0.0.2")
        checker.replace([group])
        await time.advance(0)
        assert {target.state for target in group.targets} == {"healthy"}
        await time.advance(35)
        assert probe.times("10.0.0.1") == probe.times("10.0.0.2") == [0, 10, 20, 30]

    run(scenario)


def test_only_the_first_wait_is_shortened_by_chance() -> None:
    async def main() -> None:
        time = ManualTime()
        probe = ScriptedProbe(time)
        checker = HealthChecker(probe, clock=time.clock, sleep=time.sleep, draw=lambda: 0.5)
        checker.replace([group_of("10.0.0.1")])
        await time.advance(30)
        assert probe.times("10.0.0.1") == [0, 9.5, 19.5, 29.5]
        await checker.stop()

    asyncio.run(main())


def test_a_target_that_hangs_delays_no_other() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        probe.hanging.add("10.0.0.1")
        group = group_of("10.0.0.1", "10.0.0.2")
        checker.replace([group])
        await time.advance(20)
        assert probe.times("10.0.0.2") == [0, 10, 20]
        assert [target.state for target in group.targets] == ["initial", "healthy"]
        assert group.targets[0].reason is HealthReason.INITIAL_HEALTH_CHECKING

    run(scenario)


def test_a_target_turns_and_recovers_at_the_thresholds() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        group = group_of("10.0.0.1")
        (target,) = group.targets
        checker.replace([group])
        await time.advance(5)
        probe.status["10.0.0.1"] = 503
        await time.advance(10)
        assert target.state == "healthy"
        await time.advance(10)
        assert (target.state, target.detail) == ("unhealthy", "got 503, wanted 200")
        probe.status["10.0.0.1"] = 200
        await time.advance(40)
        assert target.state == "unhealthy"
        await time.advance(10)
        assert target.state == "healthy"

    run(scenario)


def test_a_probe_that_raises_is_an_internal_error_and_the_checks_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        probe.fault["10.0.0.1"] = KeyError("surprise")
        group = group_of("10.0.0.1")
        (target,) = group.targets
        checker.replace([group])
        await time.advance(10)
        assert (target.state, target.reason) == ("unhealthy", "Elb.InternalError")
        assert target.detail == "the check itself failed: KeyError"
        probe.fault.clear()
        await time.advance(50)
        assert target.state == "healthy"

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert "surprise" in caplog.text


def test_a_probe_that_takes_too_long_is_a_timeout() -> None:
    async def never(target: Target, config: HealthCheckConfig) -> ProbeResult:
        await asyncio.Event().wait()
        raise AssertionError

    instant = HealthCheckConfig(timeout_seconds=0)  # below what a table may say, so that the test need not wait
    result = asyncio.run(run_probe(never, Target("http", "10.0.0.1", 80), instant))

    assert result == ProbeResult(failure=HealthReason.TIMEOUT, detail="no response within 0 s")


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(group_of("10.0.0.1", check=HealthCheckConfig(enabled=False)), id="health checks off"),
        pytest.param(
            TargetGroup(TargetGroupConfig("users", (TargetConfig("http", "10.0.0.1", 80),)), in_use=False),
            id="no rule uses the group",
        ),
    ],
)
def test_some_groups_are_never_probed(group: TargetGroup) -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        checker.replace([group])
        await time.advance(100)
        assert probe.calls == []

    run(scenario)


def test_targets_that_come_are_probed_at_once_and_those_that_go_no_more() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        group = TargetGroup(TargetGroupConfig("users", (TargetConfig("http", "users", 80),), CHECK))
        group.set_addresses("users", ["10.0.0.1"])
        checker.replace([group])
        await time.advance(5)
        group.set_addresses("users", ["10.0.0.2"])
        checker.reconcile()
        await time.advance(20)
        assert probe.times("10.0.0.1") == [0]
        assert probe.times("10.0.0.2") == [5, 15, 25]

    run(scenario)


def test_a_reload_goes_on_checking_without_a_gap_or_an_extra_probe() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        old = group_of("10.0.0.1", "10.0.0.2")
        checker.replace([old])
        await time.advance(5)
        new = group_of("10.0.0.2", "10.0.0.3")
        new.carry_over(old)
        checker.replace([new])
        probe.status["10.0.0.2"] = 500
        await time.advance(20)
        assert probe.times("10.0.0.1") == [0]
        assert probe.times("10.0.0.2") == [0, 10, 20]
        assert probe.times("10.0.0.3") == [5, 15, 25]
        assert [target.address for target in new.eligible] == ["10.0.0.3"], "the new group hears of it"

    run(scenario)


def test_a_reload_with_other_settings_probes_at_once_with_them() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        old = group_of("10.0.0.1")
        checker.replace([old])
        await time.advance(5)
        new = group_of("10.0.0.1", check=HealthCheckConfig(interval_seconds=20))
        new.carry_over(old)
        checker.replace([new])
        await time.advance(40)
        assert probe.times("10.0.0.1") == [0, 5, 25, 45]

    run(scenario)


def test_stopping_ends_checks_that_hang() -> None:
    async def scenario(time: ManualTime, probe: ScriptedProbe, checker: HealthChecker) -> None:
        probe.hanging.update({"10.0.0.1", "10.0.0.2"})
        checker.replace([group_of("10.0.0.1", "10.0.0.2")])
        await time.advance(0)
        assert Counter(address for _, address in probe.calls) == {"10.0.0.1": 1, "10.0.0.2": 1}

    run(scenario)
