"""One gateway for each door, used by every row."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

import pytest
from certificates import Authority
from scripted_time import scripted_time

from tests.conformance.gateway_bench import Bench, Clocks
from tests.conformance.rows import Door


@pytest.fixture(scope="session")
def clocks() -> Iterator[Clocks]:
    with (
        scripted_time("proxy.gateway") as of_connections,
        scripted_time("proxy.exchange", stands=True) as of_targets,
    ):
        yield Clocks(of_connections, of_targets)


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
