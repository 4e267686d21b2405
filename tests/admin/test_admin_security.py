"""Who may do what on the admin port, as a table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from admin_fakes import FakeGateway, get, post

from proxy.admin import security
from proxy.admin.app import create_admin
from proxy.admin.security import BODY_LIMIT, AdminPolicy

LOOPBACK = AdminPolicy("127.0.0.1")
LOOPBACK_WITH_TOKEN = AdminPolicy("127.0.0.1", "s3cret")
EVERYWHERE = AdminPolicy("0.0.0.0", None, ["strangler"])
EVERYWHERE_WITH_TOKEN = AdminPolicy("0.0.0.0", "s3cret", ["strangler"])
NAMED = AdminPolicy("admin.internal", "s3cret")

GET_RULES = ("GET", "/api/rules")
RELOAD = ("POST", "/api/reload")
LOCAL = {"host": "localhost:9901"}
REBOUND = {"host": "rebound.example"}
BEARER = {"authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("policy", "request_line", "headers", "status"),
    [
        pytest.param(LOOPBACK, GET_RULES, {"host": "127.0.0.1:9901"}, None, id="the own address"),
        pytest.param(LOOPBACK, GET_RULES, {"host": "LocalHost:9901"}, None, id="localhost in any case"),
        pytest.param(LOOPBACK, GET_RULES, {"host": "localhost"}, None, id="localhost without a port"),
        pytest.param(LOOPBACK, GET_RULES, {"host": "[::1]:9901"}, None, id="IPv6 loopback"),
        pytest.param(LOOPBACK, GET_RULES, {"host": "127.8.8.8:9901"}, None, id="all of 127/8"),
        pytest.param(LOOPBACK, GET_RULES, REBOUND, 403, id="a rebound name"),
        pytest.param(LOOPBACK, GET_RULES, {"host": "localhost.evil.example"}, 403, id="a name that begins well"),
        pytest.param(LOOPBACK, GET_RULES, {"host": "192.0.2.1:9901"}, 403, id="an address it does not have"),
        pytest.param(LOOPBACK, GET_RULES, {}, 403, id="no Host"),
        pytest.param(LOOPBACK, GET_RULES, {"host": ""}, 403, id="an empty Host"),
        pytest.param(LOOPBACK, ("GET", "/"), REBOUND, 403, id="the page by a rebound name"),
        pytest.param(LOOPBACK, ("GET", "/openapi.json"), REBOUND, 403, id="the API's document likewise"),
        pytest.param(LOOPBACK, ("GET", "/livez"), REBOUND, None, id="liveness by any name"),
        pytest.param(LOOPBACK, ("GET", "/readyz"), REBOUND, None, id="readiness by any name"),
        pytest.param(LOOPBACK, ("GET", "/metrics"), {}, None, id="metrics even without Host"),
        pytest.param(LOOPBACK, ("POST", "/metrics"), REBOUND, 403, id="but only reading"),
        pytest.param(LOOPBACK, GET_RULES, LOCAL | {"origin": "http://localhost:9901"}, None, id="the own origin"),
        pytest.param(LOOPBACK, GET_RULES, LOCAL | {"origin": "http://evil.example"}, 403, id="a foreign origin"),
        pytest.param(
            LOOPBACK, GET_RULES, LOCAL | {"origin": "http://localhost:3000"}, 403, id="another port is foreign"
        ),
        pytest.param(LOOPBACK, GET_RULES, LOCAL | {"origin": "null"}, 403, id="a sandboxed page is foreign"),
        pytest.param(LOOPBACK, RELOAD, LOCAL, None, id="a write on loopback without a token"),
        pytest.param(LOOPBACK, RELOAD, LOCAL | {"origin": "http://evil.example"}, 403, id="a write by a foreign page"),
        pytest.param(LOOPBACK, RELOAD, REBOUND, 403, id="a write by a rebound name"),
        pytest.param(LOOPBACK_WITH_TOKEN, GET_RULES, LOCAL, None, id="reading never needs the token"),
        pytest.param(LOOPBACK_WITH_TOKEN, RELOAD, LOCAL, 401, id="a set token counts on loopback, too"),
        pytest.param(LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | BEARER, None, id="the token"),
        pytest.param(
            LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | {"authorization": "bearer s3cret"}, None, id="bearer in any case"
        ),
        pytest.param(
            LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | {"authorization": "Bearer s3cre"}, 401, id="a part of the token"
        ),
        pytest.param(
            LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | {"authorization": "Bearer S3CRET"}, 401, id="the token in capitals"
        ),
        pytest.param(LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | {"authorization": "Basic s3cret"}, 401, id="another scheme"),
        pytest.param(
            LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | {"authorization": "Bearer"}, 401, id="a scheme without a token"
        ),
        pytest.param(
            LOOPBACK_WITH_TOKEN, RELOAD, LOCAL | {"authorization": "Bearer \xe9\xff"}, 401, id="a token of odd bytes"
        ),
        pytest.param(
            LOOPBACK_WITH_TOKEN,
            RELOAD,
            LOCAL | BEARER | {"origin": "http://evil.example"},
            403,
            id="the token does not excuse a foreign origin",
        ),
        pytest.param(LOOPBACK_WITH_TOKEN, ("POST", "/api/explain"), LOCAL, None, id="explain changes nothing"),
        pytest.param(LOOPBACK_WITH_TOKEN, ("DELETE", "/api/rules"), LOCAL, 401, id="any other verb is a write"),
        pytest.param(EVERYWHERE, GET_RULES, {"host": "strangler:9901"}, None, id="the container's name"),
        pytest.param(EVERYWHERE, GET_RULES, {"host": "192.0.2.1:9901"}, None, id="any own address"),
        pytest.param(EVERYWHERE, GET_RULES, {"host": "[2001:db8::1]:9901"}, None, id="any own IPv6 address"),
        pytest.param(EVERYWHERE, GET_RULES, REBOUND, 403, id="a rebound name in a container"),
        pytest.param(EVERYWHERE, RELOAD, LOCAL, 403, id="no writes beyond loopback without a token"),
        pytest.param(EVERYWHERE_WITH_TOKEN, RELOAD, LOCAL, 401, id="nor without showing it"),
        pytest.param(EVERYWHERE_WITH_TOKEN, RELOAD, LOCAL | BEARER, None, id="writes beyond loopback with it"),
        pytest.param(NAMED, GET_RULES, {"host": "admin.internal:9901"}, None, id="the admin host by name"),
        pytest.param(NAMED, GET_RULES, {"host": "other.internal:9901"}, 403, id="another name"),
    ],
)
def test_what_the_policy_refuses(
    policy: AdminPolicy, request_line: tuple[str, str], headers: dict[str, str], status: int | None
) -> None:
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    refusal = policy.refuse(*request_line, lines)

    assert status == (refusal.status if refusal else None)


@pytest.mark.parametrize("doubled", ["host", "authorization"])
def test_a_doubled_header_is_refused(doubled: str) -> None:
    """Which of the two would count is a guess that an attacker can make, too."""
    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer s3cret")]
    headers.append(next(line for line in headers if line[0] == doubled.encode()))

    assert LOOPBACK_WITH_TOKEN.refuse(*RELOAD, headers) is not None


def test_a_second_foreign_origin_is_seen() -> None:
    headers = [
        (b"host", b"localhost"),
        (b"origin", b"http://localhost"),
        (b"origin", b"http://evil.example"),
    ]

    assert LOOPBACK.refuse(*RELOAD, headers) is not None


def test_a_refusal_tells_the_remedy_and_nothing_happens() -> None:
    gateway = FakeGateway()
    app = create_admin(gateway, host="0.0.0.0", token="s3cret")
    response = post(app, "/api/reload")

    assert response.status_code == 401
    assert "STRANGLER_ADMIN_TOKEN" in response.json()["error"]
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert gateway.reloads == 0


def test_an_empty_token_is_no_token() -> None:
    assert AdminPolicy("0.0.0.0", "").refuse(*RELOAD, [(b"host", b"localhost")]) is not None
    assert AdminPolicy("127.0.0.1", "").refuse(*RELOAD, [(b"host", b"localhost")]) is None


def test_a_body_over_the_limit_is_refused() -> None:
    app = create_admin(FakeGateway())
    response = post(app, "/api/explain", content=b" " * (BODY_LIMIT + 1))

    assert response.status_code == 413
    assert str(BODY_LIMIT) in response.json()["error"]


def test_a_body_that_never_arrives_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.01)
    sent: list[Any] = []

    async def silence() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/explain", "headers": [(b"host", b"localhost")]}
    asyncio.run(create_admin(FakeGateway())(scope, silence, send))

    assert sent[0]["status"] == 408


@pytest.mark.parametrize("path", ["/", "/docs", "/api/status", "/livez", "/nowhere"])
def test_every_answer_is_guarded(path: str) -> None:
    response = get(create_admin(FakeGateway()), path)

    assert response.headers["content-security-policy"].startswith("default-src 'self'")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
