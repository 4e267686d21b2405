"""Stickiness over real sockets: clients that keep cookies, targets that die, gateways that start again."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from time import time

import httpx
import pytest
from athena import access_log_row
from live_gateway import LiveGateway, wait_until
from scripted_target import ScriptedTarget
from served import Served, serving
from wire import Wire, connect

from proxy.config.model import (
    Config,
    ForwardConfig,
    HealthCheckConfig,
    ListenerConfig,
    StickinessConfig,
    TargetConfig,
    TargetGroupAttributes,
    TargetGroupConfig,
)
from proxy.http1.sealed import Sealer
from proxy.observe.alb_lines import AlbLines
from proxy.runtime import build
from proxy.targets.health import ProbeResult

INVALID = "AWSALBTGCookieInvalid"
DOORS = pytest.mark.parametrize("door", ["listener", "asgi"])
KEY = b"the key of these tests, long enough"
LB = TargetGroupAttributes(stickiness=StickinessConfig("lb_cookie", 3600))
APP = TargetGroupAttributes(stickiness=StickinessConfig("app_cookie", 3600, "sid"))


def named(name: str, target: Callable[..., ScriptedTarget], session: bytes = b"") -> ScriptedTarget:
    """A target that answers with its name, and sets the cookie `sid` where a path ends with /login."""
    one = target()

    def script(wire: Wire) -> None:
        while True:
            request = one.take(wire)
            cookie = b""
            if request.target.endswith(b"/login"):
                cookie = b"Set-Cookie: sid=%s; Path=/\r\n" % (session or name.encode())
            elif request.target.endswith(b"/logout"):
                cookie = b"Set-Cookie: sid=; Path=/; Max-Age=0\r\n"
            wire.send(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (cookie, len(name), name.encode()))

    one.script = script
    return one


def group(name: str, *targets: ScriptedTarget, attributes: TargetGroupAttributes = LB) -> TargetGroupConfig:
    entries = tuple(TargetConfig("http", "127.0.0.1", one.port) for one in targets)
    return TargetGroupConfig(name, entries, HealthCheckConfig(enabled=False), attributes)


def serve(live: LiveGateway, *groups: TargetGroupConfig, forward: ForwardConfig | None = None) -> None:
    """Put a table with these groups in force; the first one takes everything unless `forward` says otherwise."""
    default = forward or ForwardConfig(((groups[0].name, 1),))
    config = Config((ListenerConfig("web", live.port, default),), {one.name: one for one in groups})

    def swap() -> None:
        live.gateway.sealer = Sealer(KEY)
        live.gateway.replace(build(config, live.gateway.metrics))

    live.call(swap)


@contextmanager
def browser(live: LiveGateway, cookies: httpx.Cookies | None = None) -> Iterator[httpx.Client]:
    """A client that keeps cookies."""
    with httpx.Client(base_url=f"http://127.0.0.1:{live.port}", cookies=cookies, trust_env=False, timeout=10) as client:
        yield client


def set_cookies(response: httpx.Response) -> list[str]:
    return response.headers.get_list("set-cookie")


def names(response: httpx.Response) -> list[str]:
    return [line.partition("=")[0] for line in set_cookies(response)]


def values(response: httpx.Response) -> dict[str, str]:
    pairs = (line.partition(";")[0].partition("=") for line in set_cookies(response))
    return {name: value for name, _, value in pairs}


# --- lb_cookie ---


@DOORS
def test_a_client_keeps_its_target_and_others_do_not(gateway, target, door):
    live = gateway(door=door)
    serve(live, group("targets", named("a", target), named("b", target), named("c", target)))
    with browser(live) as one, browser(live) as two:
        first, second = one.get("/").text, two.get("/").text
        assert first != second
        assert {one.get(f"/{number}").text for number in range(6)} == {first}
        assert {two.get(f"/{number}").text for number in range(6)} == {second}
    with browser(live) as nobody:
        seen = Counter()
        for _ in range(6):
            nobody.cookies.clear()
            seen[nobody.get("/").text] += 1
    assert seen == {"a": 2, "b": 2, "c": 2}


@DOORS
def test_the_cookies_on_the_wire(gateway, target, door):
    live = gateway(door=door)
    serve(live, group("targets", named("a", target)))
    with browser(live) as client:
        before = int(time())
        plain, twin = set_cookies(client.get("/"))
    form = re.fullmatch(r"AWSALB=([A-Za-z0-9+/=]+); Expires=([^;]+ GMT); Path=/", plain)
    assert form
    assert twin == f"AWSALBCORS={form[1]}; Expires={form[2]}; Path=/; SameSite=None"
    ahead = parsedate_to_datetime(form[2]).timestamp() - before
    assert 7 * 24 * 3600 <= ahead <= 7 * 24 * 3600 + 60


def test_the_value_is_made_anew_in_every_response(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target)))
    with browser(live) as client:
        assert len({values(client.get("/"))["AWSALB"] for _ in range(4)}) == 4


def test_the_cross_site_twin_alone_is_enough(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target)))
    with browser(live) as client:
        assert client.get("/").text == "a"
        client.cookies.delete("AWSALB")
        for _ in range(3):
            assert client.get("/").text == "a"
            client.cookies.delete("AWSALB")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda value: "nonsense", id="not decodable"),
        pytest.param(lambda value: value[:20] + ("A" if value[20] != "A" else "B") + value[21:], id="tampered with"),
        pytest.param(lambda value: value + "%3D", id="URL-encoded"),
        pytest.param(lambda value: "x" * 5000, id="far too long"),
        pytest.param(
            lambda value: Sealer(KEY).seal(b"AWSALB/other", b"x", valid_until=9e9).decode(), id="another group's"
        ),
        pytest.param(
            lambda value: Sealer(b"k").seal(b"AWSALB/targets", b"x", valid_until=9e9).decode(), id="other key"
        ),
        pytest.param(lambda value: Sealer(KEY).seal(b"AWSALBTG", b"targets", valid_until=9e9).decode(), id="a group's"),
        pytest.param(
            lambda value: Sealer(KEY).seal(b"AWSALB/targets", b"http://127.0.0.1:1", valid_until=9e9).decode(),
            id="of a target that is gone",
        ),
    ],
)
def test_a_cookie_that_does_not_hold_is_replaced(gateway, target, change):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target)))
    with browser(live) as client:
        value = values(client.get("/"))["AWSALB"]
    with browser(live) as client:
        headers = {"Cookie": f"AWSALB={change(value)}"}
        assert client.get("/", headers=headers).text == "b"
        client.cookies.clear()
        assert client.get("/", headers=headers).text == "a"
        assert client.get("/").text == "a"
    with browser(live) as client:
        # Counter-check: the value as it was holds.
        assert {client.get("/", headers={"Cookie": f"x=y; AWSALB={value}"}).text for _ in range(3)} == {"a"}


def test_the_duration_is_inside_the_cookie(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target)))
    seal = Sealer(KEY).seal
    a = live.targets[0].url.encode()
    with browser(live) as client:
        past = seal(b"AWSALB/targets", a, valid_until=time() - 1).decode()
        future = seal(b"AWSALB/targets", a, valid_until=time() + 60).decode()
        seen = []
        for value in (past, past, future, future):
            seen.append(client.get("/", headers={"Cookie": f"AWSALB={value}"}).text)
            client.cookies.clear()
    assert seen == ["a", "b", "a", "a"]


@DOORS
def test_when_the_target_dies_the_cookie_names_the_one_that_answered(gateway, target, door):
    live = gateway(door=door)
    dying, other = named("a", target), named("b", target)
    serve(live, group("targets", dying, other))
    with browser(live) as client:
        assert [client.get("/").text for _ in range(2)] == ["a", "a"]
        dying.close()
        assert [client.get("/").text for _ in range(3)] == ["b", "b", "b"]
        assert len(other.requests) == 3
        # Had the cookie still named the dead target, each request would have tried it first.
        assert live.targets[0].requests == 3


def test_an_unhealthy_target_loses_its_clients_for_good(gateway, target):
    live = gateway()
    config = group("targets", named("a", target), named("b", target))
    serve(live, replace(config, health_check=HealthCheckConfig()))
    first = live.gateway.runtime.groups["targets"]

    def judge(index: int, status: int, times: int) -> None:
        for _ in range(times):
            live.call(lambda: first.observe(first.targets[index], ProbeResult(status=status)))

    judge(0, 200, 1)
    judge(1, 200, 1)
    with browser(live) as client:
        assert client.get("/").text == "a"
        judge(0, 500, 2)
        assert client.get("/").text == "b"
        judge(0, 200, 5)
        assert [client.get("/").text for _ in range(3)] == ["b", "b", "b"]


def test_a_gateway_that_starts_again_with_the_same_key_knows_its_clients(gateway, target):
    config = group("targets", named("a", target), named("b", target))
    before, after = gateway(), gateway()
    serve(before, config)
    serve(after, config)
    with browser(before) as client:
        kept = client.get("/").text
        cookies = client.cookies
    for _ in range(2):
        with browser(after, cookies) as client:
            assert {client.get("/").text for _ in range(3)} == {kept}
    after.call(lambda: setattr(after.gateway, "sealer", Sealer(b"another key")))
    seen = set()
    for _ in range(2):
        with browser(after, cookies) as client:
            seen.add(client.get("/").text)
    assert seen == {"a", "b"}


def test_the_gateway_s_own_answers_bring_no_cookie(gateway, target):
    live = gateway()
    dead = named("a", target)
    serve(live, group("targets", dead))
    dead.close()
    with browser(live) as client:
        response = client.get("/")
    assert (response.status_code, set_cookies(response)) == (502, [])


def test_without_stickiness_there_is_no_cookie(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target), attributes=TargetGroupAttributes()))
    with browser(live) as client:
        assert set_cookies(client.get("/", headers={"Cookie": "AWSALB=x; AWSALBTG=y"})) == []


def test_cookies_of_targets_and_clients_pass_unchanged(gateway, target):
    live = gateway()
    one = named("a", target)
    serve(live, group("targets", one))
    with browser(live) as client:
        assert set_cookies(client.get("/login"))[0] == "sid=a; Path=/"
        client.get("/")
    assert dict(one.requests[1].headers)[b"Cookie"].count(b"=") >= 3


def test_a_websocket_stays_with_its_target_and_brings_the_cookies(gateway, target):
    live = gateway()

    def echo(wire: Wire) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while True:
            wire.send(wire.exactly(9))

    one, two = target(echo), target(echo)
    serve(live, group("targets", one, two))
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        head = client.until(b"\r\n\r\n")
        assert head.count(b"Set-Cookie: AWSALB") == 2
        for number in range(5):
            client.send(b"message %d" % number)
            assert client.exactly(9) == b"message %d" % number
        assert (one.accepted, two.accepted) == (1, 0)


# --- app_cookie ---


def test_a_session_begins_when_the_application_sets_its_cookie(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target), attributes=APP))
    with browser(live) as client:
        assert [client.get("/").text for _ in range(3)] == ["a", "b", "a"]
        assert names(client.get("/")) == []
        login = client.get("/login")
        assert (login.text, names(login)) == ("a", ["sid", "AWSALBAPP-0"])
        assert {client.get("/").text for _ in range(4)} == {"a"}


@pytest.mark.parametrize("lost", ["sid", "AWSALBAPP-0"])
def test_both_cookies_must_come_back(gateway, target, lost):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target), attributes=APP))
    with browser(live) as client:
        client.get("/login")
        client.cookies.delete(lost)
        assert {client.get("/", headers={}).text for _ in range(2)} == {"a", "b"}


def test_the_two_cookies_belong_together(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target), attributes=APP))
    with browser(live) as client:
        client.get("/login")
        client.cookies.delete("sid")
        client.cookies.set("sid", "somebody else's", domain="127.0.0.1")
        assert {client.get("/").text for _ in range(2)} == {"a", "b"}


def test_a_session_moves_for_good_when_its_target_dies(gateway, target):
    live = gateway()
    dying, other, third = named("a", target), named("b", target), named("c", target)
    serve(live, group("targets", dying, other, third, attributes=APP))
    with browser(live) as client:
        assert client.get("/login").text == "a"
        dying.close()
        moved = client.get("/").text
        assert moved in "bc"
        assert {client.get("/").text for _ in range(4)} == {moved}
        assert live.targets[0].requests == 2


def test_logging_out_ends_the_session(gateway, target):
    live = gateway()
    serve(live, group("targets", named("a", target), named("b", target), attributes=APP))
    with browser(live) as client:
        client.get("/login")
        logout = client.get("/logout")
        assert values(logout) == {"sid": "", "AWSALBAPP-0": "_remove_"}
        assert not client.cookies
        assert {client.get("/").text for _ in range(2)} == {"a", "b"}


@pytest.mark.parametrize(
    ("length", "shards"),
    [(10, 1), (2900, 1), (3000, 2), (8000, 3), (11_900, 4), (12_100, 0)],
    ids=["short", "just one shard", "just two", "three", "just 16 K", "over 16 K: no session"],
)
def test_a_long_session_cookie_is_sharded(gateway, target, length, shards):
    live = gateway()
    session = b"s" * length
    serve(live, group("targets", *(named(name, target, session) for name in "ab"), attributes=APP))
    with connect(live.port) as client:
        client.send(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        pairs = [value.partition(b";")[0] for name, value in client.response().headers if name.lower() == b"set-cookie"]
        assert [pair.partition(b"=")[0] for pair in pairs[1:]] == [b"AWSALBAPP-%d" % number for number in range(shards)]
        assert all(len(pair) <= 4096 for pair in pairs[1:])
        seen = set()
        for _ in range(3):
            # One header line is at most 16 K, so a client must split its cookies.
            lines = b"".join(b"Cookie: %s\r\n" % pair for pair in pairs)
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % lines)
            seen.add(client.response().body)
    assert seen == ({b"a"} if shards else {b"a", b"b"})


def test_shards_that_are_no_longer_needed_are_taken_back(gateway, target):
    live = gateway()
    long, short = named("a", target, b"s" * 5000), named("b", target, b"s")
    serve(live, group("targets", long, attributes=APP))
    with browser(live) as client:
        assert names(client.get("/login")) == ["sid", "AWSALBAPP-0", "AWSALBAPP-1"]
        serve(live, group("targets", short, attributes=APP))
        moved = client.get("/login")
        assert names(moved) == ["sid", "AWSALBAPP-0", "AWSALBAPP-1"]
        assert values(moved)["AWSALBAPP-1"] == "_remove_"
        assert set(client.cookies) == {"sid", "AWSALBAPP-0"}


# --- target group stickiness ---


def two_groups(live: LiveGateway, target: Callable[..., ScriptedTarget], *weights: int, sticky: bool = False) -> None:
    attributes = LB if sticky else TargetGroupAttributes()
    groups = (
        group("targets", named("m1", target), named("m2", target), attributes=attributes),
        group("users", named("u1", target), named("u2", target), attributes=attributes),
    )
    forward = ForwardConfig(tuple(zip(("targets", "users"), weights, strict=True)), stickiness_seconds=3600)
    serve(live, *groups, forward=forward)


def reweigh(live: LiveGateway, *weights: int, seconds: int | None = 3600) -> None:
    """Shift traffic the way a reload does."""
    config = live.gateway.runtime.config
    forward = ForwardConfig(tuple(zip(("targets", "users"), weights, strict=True)), stickiness_seconds=seconds)
    listener = replace(config.listeners[0], default=forward)
    live.call(lambda: live.gateway.replace(build(replace(config, listeners=(listener,)), live.gateway.metrics)))


@DOORS
def test_a_client_keeps_its_target_group_whatever_the_weights_become(gateway, target, door):
    live = gateway(door=door)
    two_groups(live, target, 1, 0)
    with browser(live) as client:
        first = client.get("/")
        assert first.text[0] == "m"
        assert names(first) == ["AWSALBTG", "AWSALBTGCORS"]
        assert values(first)["AWSALBTG"] == values(first)["AWSALBTGCORS"]
        reweigh(live, 0, 1)
        later = [client.get("/") for _ in range(4)]
        assert {response.text for response in later} == {"m1", "m2"}
        assert [names(response) for response in later] == [[]] * 4
    with browser(live) as newcomer:
        assert newcomer.get("/").text[0] == "u"
        reweigh(live, 0, 0)
        assert newcomer.get("/").text[0] == "u"
        newcomer.cookies.clear()
        assert newcomer.get("/").status_code == 503


def test_without_group_stickiness_a_cookie_does_not_count(gateway, target):
    live = gateway()
    two_groups(live, target, 1, 0)
    with browser(live) as client:
        client.get("/")
        reweigh(live, 0, 1, seconds=None)
        assert client.get("/").text[0] == "u"


@pytest.mark.parametrize(
    ("value", "remark"),
    [
        pytest.param("x", INVALID, id="nonsense"),
        pytest.param("x" * 600, INVALID, id="too long"),
        pytest.param(Sealer(KEY).seal(b"AWSALBTG", b"nobody", valid_until=9e9).decode(), "", id="of an unknown group"),
        pytest.param(Sealer(KEY).seal(b"AWSALBTG", b"targets", valid_until=1).decode(), "", id="out of date"),
        pytest.param(
            Sealer(KEY).seal(b"AWSALB/targets", b"targets", valid_until=9e9).decode(), INVALID, id="of a target"
        ),
        pytest.param(
            Sealer(KEY).seal(b"AWSALBTG", b"targets", valid_until=9e9).decode().replace("=", "%3D") + "%41",
            INVALID,
            id="URL-encoded",
        ),
    ],
)
def test_a_group_cookie_that_does_not_hold_is_replaced(gateway, target, value, remark):
    """The access log says so of one that was not made here (alb.md 3.1, 9.3); the request is served all the same."""
    live = gateway()
    two_groups(live, target, 0, 1)
    with browser(live) as client:
        response = client.get("/", headers={"Cookie": f"AWSALBTG={value}"})
        assert response.text[0] == "u"
        assert names(response) == ["AWSALBTG", "AWSALBTGCORS"]
    record = live.record()
    assert (record.status, record.reason, record.remark) == (200, "", remark)
    assert access_log_row(AlbLines().line(record))["lambda_error_reason"] == (remark or "-")


def test_group_and_target_stickiness_together(gateway, target):
    live = gateway()
    two_groups(live, target, 1, 0, sticky=True)
    with browser(live) as one, browser(live) as two:
        first = one.get("/")
        assert names(first) == ["AWSALBTG", "AWSALBTGCORS", "AWSALB", "AWSALBCORS"]
        assert two.get("/").text != first.text
        reweigh(live, 0, 1)
        for _ in range(4):
            again = one.get("/")
            assert again.text == first.text
            assert names(again) == ["AWSALB", "AWSALBCORS"]


# --- the end of a deregistration ---


def test_a_request_that_outlives_the_deregistration_delay_gets_502(gateway, target, quick_clock):
    """alb.md 5.4: no new request, `draining` until the delay is over, then 502 for what is in flight."""
    live = gateway()
    slow, other = target(), named("b", target)
    slow.script = lambda wire: (slow.take(wire), wire.rest())
    attributes = TargetGroupAttributes(deregistration_delay_seconds=0)
    serve(live, group("targets", slow, attributes=attributes))
    users = live.gateway.runtime.groups["targets"]
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: len(slow.requests) == 1, "the request did not arrive")
        serve(live, group("targets", other, attributes=attributes))
        users = live.gateway.runtime.groups["targets"]
        states = {one["id"].rpartition(":")[2]: one["state"] for one in users.describe()["targets"]}
        assert states[str(slow.port)] == "draining"
        with browser(live) as newcomer:
            assert {newcomer.get("/").text for _ in range(3)} == {"b"}
        live.call(users.remove_drained)
        assert client.response().status == 502
    assert [one["id"] for one in users.describe()["targets"]] == [f"127.0.0.1:{other.port}"]


# --- failures of targets ---


def test_responses_of_5xx_and_lost_connections_count_as_failures(gateway, target):
    """What anomaly detection compares (alb.md 5.2)."""
    live = gateway()
    one = target()
    statuses = iter([200, 404, 500, 503])

    def script(wire: Wire) -> None:
        for _ in range(9):
            one.take(wire)
            status = next(statuses, None)
            if status is None:
                return
            wire.send(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)

    one.script = script
    serve(live, group("targets", one, attributes=TargetGroupAttributes()))
    failures = []
    with browser(live) as client:
        for _ in range(5):
            client.post("/")
            failures.append(live.targets[0].failures)
        one.close()
        assert client.get("/").status_code == 502
        failures.append(live.targets[0].failures)
    assert failures == [0, 0, 1, 2, 3, 4]


# --- the key, in a gateway as a user runs it ---

TABLE = """
version: 1
listeners: [{{port: PORT, name: web, default: {{forward: only}}}}]
target_groups:
  only:
    targets: ["http://127.0.0.1:{}", "http://127.0.0.1:{}"]
    health_check: {{interval_seconds: 5, timeout_seconds: 2}}
    attributes: {{stickiness.enabled: true}}
"""


def seen_by(served: Served, value: str) -> set[str]:
    """Which targets answer a client that always sends this AWSALB, each time over a new connection."""
    seen = set()
    for _ in range(8):
        response = httpx.get(f"http://127.0.0.1:{served.port}/", headers={"Cookie": f"AWSALB={value}"}, trust_env=False)
        seen.add(response.text)
    return seen


def first_value(served: Served) -> tuple[str, str]:
    """Who answers a new client, and its AWSALB."""
    response = httpx.get(f"http://127.0.0.1:{served.port}/", trust_env=False)
    return response.text, values(response)["AWSALB"]


def test_workers_share_a_key_file_that_is_made_and_kept(tmp_path, target):
    table = TABLE.format(named("a", target).port, named("b", target).port)
    key = tmp_path / "cookie.key"
    arguments = ("--workers", "2", "--cookie-key-file", str(key))
    with serving(tmp_path, table, *arguments) as served:
        name, value = first_value(served)
        assert seen_by(served, value) == {name}
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_text().strip()
    assert secret not in served.log.read_text()
    with serving(tmp_path, table, *arguments) as served:
        assert seen_by(served, value) == {name}
    assert key.read_text().strip() == secret
    key.unlink()
    with serving(tmp_path, table, *arguments) as served:
        assert seen_by(served, value) == {"a", "b"}


def test_workers_share_a_key_that_is_made_for_one_run(tmp_path, target):
    table = TABLE.format(named("a", target).port, named("b", target).port)
    with serving(tmp_path, table, "--workers", "2") as served:
        name, value = first_value(served)
        assert seen_by(served, value) == {name}
    assert served.log.read_text().count("clients lose their stickiness with the next start") == 1
