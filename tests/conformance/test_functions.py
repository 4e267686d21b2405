"""Rows of functions as targets hold."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from invoke_server import InvokeServer
from live_gateway import LiveGateway
from table_gateway import use_table
from wire import connect

from proxy.observe.alb_lines import AlbLines
from tests.conformance.gateway_bench import expect_headers
from tests.conformance.rows import BOTH, Door, Invoked
from tests.conformance.table import rows_by_door


@pytest.fixture(scope="module")
def functions() -> Iterator[dict[Door, tuple[LiveGateway, InvokeServer]]]:
    made = {door: (LiveGateway(door=door), InvokeServer()) for door in BOTH}
    yield made
    for live, invoke in made.values():
        live.close()
        invoke.close()
        assert invoke.failures == []


@rows_by_door(Invoked)
def test_invoked(functions: dict[Door, tuple[LiveGateway, InvokeServer]], row: Invoked, door: Door) -> None:
    live, invoke = functions[door]
    multi_value = str(row.multi_value).lower()
    use_table(
        live,
        f"{{targets: {{target_type: lambda, targets: [users], local: {{endpoint: 'http://127.0.0.1:{invoke.port}'}}, "
        f"attributes: {{lambda.multi_value_headers.enabled: {multi_value}}}}}}}",
    )
    if row.returns is not None:
        invoke.returns(row.returns.encode())
    elif row.invoke[0] == 200:
        invoke.fails()
    else:
        invoke.refuses(*row.invoke)
    invoke.requests.clear()
    live.records.all.clear()
    with connect(live.port) as client:
        client.send(row.send)
        response = client.response(to=row.send.split(b" ")[0].decode("latin-1"))
    assert response.status == row.status
    assert row.body is None or response.body == row.body
    expect_headers(response, row.answers)
    assert AlbLines().line(live.record()).split('"')[15] == row.reason
    for path, expected in row.event:
        found = invoke.event
        for part in path.split("."):
            found = found.get(part) if found is not None else None
        if isinstance(expected, str) and expected.startswith("re:"):
            assert re.fullmatch(expected[3:], found), path
        else:
            assert found == expected, path
