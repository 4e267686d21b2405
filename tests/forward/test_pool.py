"""A pool's connections, where no real target would behave badly enough."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.errors import TargetConnectError
from proxy.forward.pool import Pool
from proxy.targets.target import HealthState, Target


def test_a_deregistered_target_that_does_not_even_refuse_is_given_up() -> None:
    """A container that was scaled away took the requests waiting to connect to it with it: 504 after 10 s.

    Given up, the request was not sent, so another target can take it.
    """

    async def main() -> TargetConnectError:
        async def never(*_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

        asyncio.get_running_loop().create_connection = never  # type: ignore[method-assign]
        target = Target("http", "192.0.2.1", 80)
        pool = Pool(target)
        connecting = asyncio.create_task(pool.connect())
        await asyncio.sleep(0)
        target.state = HealthState.DRAINING
        pool.give_up_connecting()
        with pytest.raises(TargetConnectError) as caught:
            await asyncio.wait_for(connecting, 5)
        return caught.value

    error = asyncio.run(main())

    assert not error.sent
    assert "deregistered" in str(error)
