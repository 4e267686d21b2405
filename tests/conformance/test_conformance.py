"""Every row of the conformance table holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from invoke_server import InvokeServer
from live_gateway import LiveGateway
from scripted_target import ScriptedTarget
from table_gateway import use_table
from wire import Closed, Message, Wire, connect

from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError, Problem
from proxy.listen.asgi import AsgiDoor
from proxy.observe.alb_lines import AlbLines
from proxy.runtime import build
from tests.conformance.rows import BOTH, MATCHED, Checked, Exchange, Invoked, Matching
from tests.conformance.table import PAGE, ROWS, page

TABLE = """\
version: 1
attributes: {attributes}
listeners: [{{name: web, port: {port}, default: {default}, attributes: {listener}, rules: {rules}}}]
target_groups:
  targets: {{targets: ["http://127.0.0.1:{target}"], health_check: {{enabled: false}}}}
"""
NOBODY = '  nobody: {targets: ["http://no-such-name.invalid:1"], health_check: {enabled: false}}\n'


class Bench:
    """A gateway by one door in front of one target; each row brings its own table."""

    def __init__(self, door: str) -> None:
        self.response = b""
        self.target = ScriptedTarget(self._answer)
        self.live = LiveGateway(self.target.port, door=door)  # type: ignore[arg-type]

    def _answer(self, wire: Wire) -> None:
        while True:
            self.target.take(wire)
            wire.send(self.response)

    def use(self, row: Exchange) -> None:
        text = TABLE.format(
            attributes=row.attributes, listener=row.listener, rules=row.rules, default=row.default,
            port=row.port or self.live.port, target=self.target.port,
        )  # fmt: skip
        config, _ = load_with_warnings(text + NOBODY * ("nobody" in row.default), {})
        gateway = self.live.gateway
        self.live.call(lambda: gateway.replace(build(config, gateway.metrics)))
        self.live._door = AsgiDoor(lambda: gateway, port=row.port or self.live.port)
        self.response = row.response
        self.target.requests.clear()

    def close(self) -> None:
        self.live.close()
        self.target.close()
        assert self.target.failures == []


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[str, Bench]]:
    made = {door: Bench(door) for door in ("listener", "asgi")}
    yield made
    for bench in made.values():
        bench.close()


EXCHANGES = [(row, door) for row in ROWS if isinstance(row, Exchange) for door in row.doors]


@pytest.mark.parametrize(("row", "door"), EXCHANGES, ids=[f"{row.section}-{row.id}-{door}" for row, door in EXCHANGES])
def test_exchange(benches: dict[str, Bench], row: Exchange, door: str) -> None:
    bench = benches[door]
    bench.use(row)
    port = b"%d" % (row.port or bench.live.port)
    with connect(bench.live.port) as client:
        client.send(row.send.replace(b"PORT", port))
        response = client.response(to=row.send.split(b" ")[0].decode("latin-1"))
        while response.status == 100:
            response = client.response()
        assert response.status == row.status
        assert row.body is None or response.body == row.body
        if row.closes is False:
            client.send(b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().status
        elif row.closes:
            assert client.is_at_end()
    _expect_headers(response, row.answers, port)
    if row.first_line or row.gets:
        request = bench.target.requests[0]
        assert row.first_line in (b"", request.first_line)
        _expect_headers(request, row.gets, port)


def _expect_headers(message: Message, expected: tuple[tuple[str, tuple[bytes, ...]], ...], port: bytes) -> None:
    for name, values in expected:
        found = message.values(name)
        assert len(found) == len(values), (name, found)
        for one, value in zip(found, values, strict=True):
            if value.startswith(b"re:"):
                assert re.fullmatch(value[3:], one), (name, one)
            else:
                assert one == value.replace(b"PORT", port), name


@pytest.fixture(scope="module")
def functions() -> Iterator[dict[str, tuple[LiveGateway, InvokeServer]]]:
    made = {door: (LiveGateway(door=door), InvokeServer()) for door in BOTH}
    yield made
    for live, invoke in made.values():
        live.close()
        invoke.close()
        assert invoke.failures == []


INVOKED = [(row, door) for row in ROWS if isinstance(row, Invoked) for door in row.doors]


@pytest.mark.parametrize(("row", "door"), INVOKED, ids=[f"{row.section}-{row.id}-{door}" for row, door in INVOKED])
def test_invoked(functions: dict[str, tuple[LiveGateway, InvokeServer]], row: Invoked, door: str) -> None:
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
    _expect_headers(response, row.answers, b"")
    assert AlbLines().line(live.record()).split('"')[15] == row.reason
    for path, expected in row.event:
        found = invoke.event
        for part in path.split("."):
            found = found.get(part) if found is not None else None
        if isinstance(expected, str) and expected.startswith("re:"):
            assert re.fullmatch(expected[3:], found), path
        else:
            assert found == expected, path


MATCHINGS = [(row, door) for row in ROWS if isinstance(row, Matching) for door in ("listener", "asgi")]


@pytest.mark.parametrize(("row", "door"), MATCHINGS, ids=[f"{row.section}-{row.id}-{door}" for row, door in MATCHINGS])
def test_matching(benches: dict[str, Bench], row: Matching, door: str) -> None:
    bench = benches[door]
    rules = f"[{{priority: 1, conditions: {row.conditions}, fixed-response: {{status_code: {MATCHED}}}}}]"
    bench.use(Exchange(row.id, row.section, rules=rules))
    for requests, status in ((row.takes, MATCHED), (row.leaves, 200)):
        for request in requests:
            line, *lines = request.split(" | ")
            if not any(each.startswith("Host:") for each in lines):
                lines.append("Host: x.example.com")
            head = "".join(f"{each}\r\n" for each in (f"{line} HTTP/1.1", "Connection: close", *lines, ""))
            with connect(bench.live.port) as client:
                client.send(head.encode())
                try:
                    assert client.response(to=line.split(" ")[0]).status == status, request
                except Closed:
                    raise AssertionError(f"no answer to {request}") from None


CHECKS = [row for row in ROWS if isinstance(row, Checked)]


@pytest.mark.parametrize("row", CHECKS, ids=lambda row: f"{row.section}-{row.id}")
def test_check(row: Checked) -> None:
    text = TABLE.format(
        attributes=row.attributes, listener="{}", rules=f"[{row.rule}]", default=row.default, port=80, target=1
    )
    text += f"  extra: {row.group}\n" * bool(row.group)
    problems: tuple[Problem, ...] | list[Problem] = ()
    try:
        load_with_warnings(text, {})
    except ConfigError as error:
        problems = error.problems
    assert [problem.code for problem in problems if problem.severity == "error"] == [row.code] * bool(row.code)


def test_every_row_has_a_name_of_its_own() -> None:
    names = [(row.section, row.id) for row in ROWS]
    assert len(names) == len(set(names))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.conformance"
