"""Rows of one request or one table hold; the page is up to date."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from http2_peers import Http2Client
from wire import Closed, connect

import proxy.listen.http2
from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError, Problem
from tests.conformance.gateway_bench import TABLE, Bench, expect_fields, expect_headers
from tests.conformance.rows import MATCHED, Checked, Door, Exchange, Http2Connection, Matching
from tests.conformance.table import PAGE, ROWS, page, rows_by_door

GROUP_OF_CHECKS = '{targets: ["http://127.0.0.1:1"]}'


@rows_by_door(Exchange)
def test_exchange(bench: Callable[[Door], Bench], row: Exchange, door: Door) -> None:
    here = bench(door)
    here.use(row)
    before = {name: here.metric(name) for name in row.counts}
    response = here.ask()
    if response is not None:
        assert row.body is None or response.body == row.body
        expect_headers(response, row.answers, here.port)
    if row.connections:
        assert here.connections == row.connections
    if row.first_line or row.gets or row.names:
        request = here.requests()[0]
        assert set(row.names) <= {name for name, _ in request.headers}
        assert row.first_line in (b"", request.first_line)
        expect_headers(request, row.gets, here.port)
    if row.log:
        expect_fields(here.log_line(), row.log)
    for name, value in before.items():
        assert here.metric(name) == value + 1, name


@rows_by_door(Matching)
def test_matching(bench: Callable[[Door], Bench], row: Matching, door: Door) -> None:
    here = bench(door)
    rules = f"[{{priority: 1, conditions: {row.conditions}, fixed-response: {{status_code: {MATCHED}}}}}]"
    here.use(Exchange(row.id, row.section, rules=rules))
    for requests, status in ((row.takes, MATCHED), (row.leaves, 200)):
        for request in requests:
            line, *lines = request.split(" | ")
            if not any(each.startswith("Host:") for each in lines):
                lines.append("Host: x.example.com")
            head = "".join(f"{each}\r\n" for each in (f"{line} HTTP/1.1", "Connection: close", *lines, ""))
            with connect(here.live.port) as client:
                client.send(head.encode())
                try:
                    assert client.response(to=line.split(" ")[0]).status == status, request
                except Closed:
                    raise AssertionError(f"no answer to {request}") from None


CHECKS = [row for row in ROWS if isinstance(row, Checked)]


@pytest.mark.parametrize("row", CHECKS, ids=lambda row: f"{row.section}-{row.id}")
def test_check(row: Checked) -> None:
    group = GROUP_OF_CHECKS if row.group == "{}" else row.group
    text = TABLE.format(
        attributes=row.attributes, listener=row.listener, rules=f"[{row.rule}]", default=row.default, port=row.port,
        entry=row.entry, group=group, more=row.more,
    )  # fmt: skip
    problems: tuple[Problem, ...] | list[Problem]
    try:
        _, problems = load_with_warnings(row.table or text, {})
    except ConfigError as error:
        problems = error.problems
    assert [each.code for each in problems if each.severity == "error"] == [row.code] * bool(row.code)
    assert not row.warning or row.warning in {each.code for each in problems if each.severity == "warning"}


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row, Http2Connection)], ids=lambda row: row.id)
def test_http2_connection(
    bench: Callable[[Door], Bench], monkeypatch: pytest.MonkeyPatch, row: Http2Connection
) -> None:
    here = bench("http2")
    here.use(Exchange(row.id, row.section))
    if row.limit:
        name, value = row.limit
        assert getattr(proxy.listen.http2, name) == value
        monkeypatch.setattr(proxy.listen.http2, name, 3)
    with Http2Client(here.live.port) as client:
        assert client.ask().status == 200
        if row.setting:
            setting, value = row.setting
            assert client.h2.remote_settings.get(setting, 0) == value
            return
        if row.pings:
            client.h2.ping(b"01234567")
            client.flush()
            client.until(lambda: client.pongs == 1)
        if row.limit:
            assert [client.ask().status for _ in range(2)] == [200, 200]
        with here.clocks.of_connections.passing(row.later):
            client.rest()
        assert [goaway.error_code for goaway in client.goaways] == [0]


def test_every_row_has_a_name_of_its_own() -> None:
    names = [(row.section, row.id) for row in ROWS]
    assert len(names) == len(set(names))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.conformance"
