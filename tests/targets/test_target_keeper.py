"""Names, draining and health checks together, over a scripted name server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from proxy.config.model import HealthCheckConfig, TargetConfig, TargetGroupAttributes, TargetGroupConfig
from proxy.targets.checker import HealthChecker
from proxy.targets.group import TargetGroup
from proxy.targets.health import ProbeResult
from proxy.targets.keeper import TargetKeeper
from proxy.targets.resolve import Resolver
from proxy.targets.target import Target


class NameServer:
    """Answers from `zone`; a name that is not there does not exist."""

    def __init__(self, **zone: list[str]) -> None:
        self.zone = zone
        self.hanging: set[str] = set()

    async def lookup(self, name: str) -> list[str]:
        if name in self.hanging:
            await asyncio.Event().wait()
        if name not in self.zone:
            raise OSError(f"no such name: {name}")
        return self.zone[name]


async def healthy(target: Target, config: HealthCheckConfig) -> ProbeResult:
    return ProbeResult(status=200)


def group(name: str, *, delay: int = 300, removed: list[Target] | None = None) -> TargetGroup:
    """A group whose one entry is a host of the same name."""
    config = TargetGroupConfig(name, (TargetConfig("http", name, 80),), attributes=TargetGroupAttributes(delay))
    return TargetGroup(config, on_removed=None if removed is None else removed.append)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; ten seconds are for a broken build, not for a slow one."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition belongs to no event
            await asyncio.sleep(0.001)


def run(names: NameServer, scenario: Callable[[TargetKeeper], Awaitable[None]]) -> None:
    """Run a scenario with a keeper that looks names up every 5 ms; no task may be left."""

    async def main() -> None:
        resolver = Resolver(names.lookup, timeout_seconds=0.05)
        async with TargetKeeper(HealthChecker(healthy), resolver, interval_seconds=0.005) as keeper:
            await scenario(keeper)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def states(of: TargetGroup) -> dict[str, str]:
    return {target.address: str(target.state) for target in of.targets}


def test_a_prepared_group_has_its_targets_before_it_is_in_force() -> None:
    async def scenario(keeper: TargetKeeper) -> None:
        users = group("users")
        await keeper.prepare([users])
        assert states(users) == {"10.0.0.1": "initial", "10.0.0.2": "initial"}
        keeper.replace([users])
        await until(lambda: users.is_settled)
        assert states(users) == {"10.0.0.1": "healthy", "10.0.0.2": "healthy"}

    run(NameServer(users=["10.0.0.1", "10.0.0.2"]), scenario)


def test_scaling_up_registers_and_scaling_down_drains() -> None:
    names, removed = NameServer(users=["10.0.0.1"]), list[Target]()

    async def scenario(keeper: TargetKeeper) -> None:
        users = group("users", removed=removed)
        keeper.replace([users])
        await until(lambda: states(users) == {"10.0.0.1": "healthy"})
        names.zone["users"] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        await until(lambda: list(states(users).values()) == ["healthy"] * 3)
        names.zone["users"] = ["10.0.0.3"]
        await until(lambda: states(users)["10.0.0.1"] == "draining")
        assert [target.address for target in users.eligible] == ["10.0.0.3"]
        assert removed == []

    run(names, scenario)


def test_a_drained_target_is_handed_over_when_its_delay_is_over() -> None:
    names, removed = NameServer(users=["10.0.0.1", "10.0.0.2"]), list[Target]()

    async def scenario(keeper: TargetKeeper) -> None:
        users = group("users", delay=0, removed=removed)
        keeper.replace([users])
        await until(lambda: len(users.targets) == 2)
        names.zone["users"] = ["10.0.0.2"]
        await until(lambda: [target.address for target in removed] == ["10.0.0.1"])
        assert states(users) == {"10.0.0.2": "healthy"}

    run(names, scenario)


def test_a_name_server_that_fails_or_hangs_changes_no_membership() -> None:
    names = NameServer(users=["10.0.0.1"], orders=["10.0.0.9"])

    async def scenario(keeper: TargetKeeper) -> None:
        users, orders = group("users"), group("orders")
        keeper.replace([users, orders])
        await until(lambda: users.is_settled and orders.is_settled)
        del names.zone["users"]
        await until(lambda: users.resolve_error is not None)
        assert users.resolve_error == "users does not resolve: no such name: users"
        names.hanging.add("users")
        await until(lambda: "no answer within" in (users.resolve_error or ""))
        assert states(users) == {"10.0.0.1": "healthy"}
        assert orders.resolve_error is None
        names.zone["orders"] = ["10.0.0.8"]
        await until(lambda: states(orders).get("10.0.0.8") == "healthy")

    run(names, scenario)


def test_a_group_that_is_gone_from_the_table_drains_and_hands_its_targets_over() -> None:
    names, removed = NameServer(users=["10.0.0.1"], orders=["10.0.0.9"]), list[Target]()

    async def scenario(keeper: TargetKeeper) -> None:
        users, orders = group("users", delay=0, removed=removed), group("orders")
        keeper.replace([users, orders])
        await until(lambda: users.is_settled and orders.is_settled)
        following = group("orders")
        following.carry_over(orders)
        keeper.replace([following])
        await until(lambda: [target.address for target in removed] == ["10.0.0.1"])
        assert states(following) == {"10.0.0.9": "healthy"}

    run(names, scenario)


def test_a_callback_that_raises_does_not_end_the_keeping() -> None:
    names = NameServer(users=["10.0.0.1"])

    def broken(target: Target) -> None:
        raise RuntimeError("broken callback")

    async def scenario(keeper: TargetKeeper) -> None:
        entry = TargetConfig("http", "users", 80)
        config = TargetGroupConfig("users", (entry,), attributes=TargetGroupAttributes(0))
        users = TargetGroup(config, on_removed=broken)
        keeper.replace([users])
        await until(lambda: states(users) == {"10.0.0.1": "healthy"})
        names.zone["users"] = ["10.0.0.2"]
        await until(lambda: states(users) == {"10.0.0.2": "healthy"})
        names.zone["users"] = ["10.0.0.2", "10.0.0.3"]
        await until(lambda: len(users.targets) == 2)

    run(names, scenario)
