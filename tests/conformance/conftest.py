"""One gateway for each door, used by every row."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest
from certificates import Authority
from scripted_time import ScriptedTime, in_place_of_time

from tests.conformance.gateway_bench import Bench, Clocks
from tests.conformance.rows import Door


@pytest.fixture(scope="session")
def clocks() -> Iterator[Clocks]:
    with pytest.MonkeyPatch.context() as patch:
        # The gateway looks at its clock once a second: too long to wait for in each row.
        patch.setattr("proxy.gateway.SWEEP_SECONDS", 0.02)
        yield Clocks(ScriptedTime(), ScriptedTime(stands=True))


@pytest.fixture(autouse=True)
def scripted_time(clocks: Clocks) -> Iterator[None]:
    """For these tests alone: the gateways of others go by the real time."""
    of_exchanges = dict.fromkeys(("proxy.exchange.deciding", "proxy.exchange.forwarding"), clocks.of_targets)
    with in_place_of_time({"proxy.gateway": clocks.of_connections, **of_exchanges}):
        yield


@pytest.fixture(scope="session")
def bench(clocks: Clocks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Door], Bench]]:
    made: dict[Door, Bench] = {}
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*Authority(tmp_path_factory.mktemp("target")).issue("target", "nobody.example"))

    def by(door: Door) -> Bench:
        if door not in made:
            made[door] = Bench(door, clocks, tls)
        return made[door]

    yield by
    for one in made.values():
        one.close()
