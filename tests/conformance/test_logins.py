"""Rows of authentication actions hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from live_gateway import wait_until
from login_site import Browser, Site, jwt_at, login_at, rule
from oidc_provider import Answer, OidcProvider, sign
from wire import Message, connect

from proxy.config.model import Config, FixedResponseConfig, HealthCheckConfig, ListenerConfig, TargetConfig
from proxy.config.model import TargetGroupConfig as Group
from proxy.runtime import build
from tests.conformance.gateway_bench import Bench, enforce, expect_fields, expect_headers
from tests.conformance.rows import Door, Exchange, Login
from tests.conformance.table import rows_by_door


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    one = OidcProvider()
    yield one
    one.close()


@rows_by_door(Login)
def test_login(bench: Callable[[Door], Bench], provider: OidcProvider, row: Login, door: Door) -> None:
    for name, value in row.provider.items():
        if name.startswith("/"):
            body = value.body.encode() if isinstance(value.body, str) else value.body
            provider.instead[name] = Answer(value.status, body, wait=value.silent)
        else:
            setattr(provider, name, value)
    here = bench(door)
    here.use(Exchange(row.id, row.section))
    visit = Visit(here, provider, row)
    for step in row.steps:
        visit.play(step)
    if row.gets:
        expect_headers(here.requests()[-1], row.gets)
    expect_headers(visit.last, row.answers)
    if row.log:
        expect_fields(here.log_line(-1), row.log)
    for path, count in row.asks:
        assert provider.count(path) == count, path
    assert row.cookies is None or tuple(sorted(visit.browser.cookies)) == row.cookies


class Visit:
    """A browser at a site, step by step."""

    def __init__(self, bench: Bench, provider: OidcProvider, row: Login) -> None:
        self._bench = bench
        self._provider = provider
        self._row = row
        self._answers = 0
        self._back = ""
        self.last = Message(b"", [])
        self._set_action(**row.action)
        self.site = Site(bench.live, bench.target, bench.door)
        silent = [path for path, answer in row.provider.items() if getattr(answer, "silent", False)]
        # User info is asked for after the token, which has to come in time.
        self.site.timeout(1.0 if "/userinfo" in silent else 0.2 if silent else 30.0)
        self.browser = Browser(self.site)

    def _set_action(self, **changes: Any) -> None:
        port = self._bench.live.port
        at = login_at if self._row.kind == "authenticate-oidc" else jwt_at
        target = TargetConfig("http", "127.0.0.1", self._bench.target.port)
        config = Config(
            (ListenerConfig("web", port, FixedResponseConfig(404), (rule(replace(at(self._provider), **changes)),)),),
            {"targets": Group("targets", (target,), HealthCheckConfig(enabled=False))},
        )
        enforce(self._bench.live, lambda: build(config, self._bench.live.gateway.metrics), port)

    def play(self, step: str) -> None:
        for pattern, do in _STEPS:
            match = pattern.fullmatch(step)
            if match is not None:
                do(self, *match.groups())
                return
        raise ValueError(f"no such step: {step!r}")

    def get(self, path: str, how: str | None, status: str) -> None:
        headers = {}
        if how == "with a token":
            claims, header = self._provider.claims(**self._row.token), self._row.header
            headers["Authorization"] = f"Bearer {sign(claims, **header)}"
        if how == "as root":
            headers = {"X-Amzn-Oidc-Identity": "root", "X-Amzn-Oidc-Data": "e30.e30.x"}
        if how == "without Host":
            with connect(self._bench.live.port) as client:
                client.send(b"GET / HTTP/1.0\r\n\r\n")
                self.last = client.response()
        else:
            self._note(self.browser.get(path, **headers))
        assert self.last.status == int(status)

    def log_in(self, path: str, status: str) -> None:
        self.begin(path)
        self.come_back(None, None, status)

    def begin(self, path: str) -> None:
        self._back = self.browser.begin(path)

    def come_back(self, without: str | None, instead: str | None, status: str) -> None:
        base, _, query = self._back.partition("?")
        name = (without or instead or "").partition("=")[0]
        pairs = [pair for pair in query.split("&") if pair.partition("=")[0] != name]
        if name == "error":
            pairs = [pair for pair in pairs if not pair.startswith("code=")]
        self._note(self.browser.get("?".join((base, "&".join(pairs + [instead] * bool(instead))))))
        assert self.last.status == int(status)

    def have_a_session(self) -> None:
        """Log in under the same table with `authenticate`, which is how a session comes about at all."""
        self._set_action(**{**self._row.action, "on_unauthenticated_request": "authenticate"})
        self.browser.log_in()
        self._set_action(**self._row.action)

    def passes(self, seconds: str) -> None:
        self.site.ahead += int(seconds)

    def forgets(self) -> None:
        self._provider.refresh_tokens.clear()

    def spoils(self, name: str) -> None:
        value = self.browser.cookies[name]
        self.browser.cookies[name] = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]

    def encodes(self, name: str) -> None:
        value = self.browser.cookies[name]
        self.browser.cookies[name] = f"%{ord(value[0]):02X}{value[1:]}"

    def loses(self, name: str) -> None:
        del self.browser.cookies[name]

    def _note(self, response: httpx.Response) -> None:
        wait_until(lambda: not self._bench.live.in_flight, "a request is still in flight")
        headers = [(name, value) for name, value in response.headers.raw]
        self.last = Message(b"HTTP/1.1 %d" % response.status_code, headers, response.content)


_STEPS: tuple[tuple[re.Pattern[str], Callable[..., None]], ...] = (
    (re.compile(r"GET (/\S*)(?: (with a token|as root|without Host))? -> (\d+)"), Visit.get),
    (re.compile(r"log in (\S+) -> (\d+)"), Visit.log_in),
    (re.compile(r"begin (\S+)"), Visit.begin),
    (re.compile(r"come back(?: without (\w+))?(?: with (\S+))? -> (\d+)"), Visit.come_back),
    (re.compile(r"have a session"), Visit.have_a_session),
    (re.compile(r"(\d+) s pass"), Visit.passes),
    (re.compile(r"the provider forgets"), Visit.forgets),
    (re.compile(r"spoil (\S+)"), Visit.spoils),
    (re.compile(r"encode (\S+)"), Visit.encodes),
    (re.compile(r"lose (\S+)"), Visit.loses),
)
