"""`explain --json`, whole documents."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from proxy.config.model import (
    ConditionConfig,
    FixedResponseConfig,
    ForwardConfig,
    JwtValidationConfig,
    ListenerConfig,
    LoginConfig,
    QueryPair,
    RedirectConfig,
    RuleConfig,
)
from proxy.errors import BadRequestError
from proxy.rules.compile import compile_table
from proxy.rules.explain import explain
from proxy.rules.request import RequestView

LISTENER = ListenerConfig(
    "web",
    80,
    ForwardConfig((("monolith", 1),)),
    (
        RuleConfig(
            "bots",
            5,
            (ConditionConfig("query-string", pairs=(QueryPair("utm_source", "bot"),)),),
            FixedResponseConfig(403, "text/plain", "no bots today"),
        ),
        RuleConfig(
            "users",
            10,
            (ConditionConfig("path-pattern", ("/api/users", "/api/users/*")),),
            ForwardConfig((("monolith", 90), ("users", 10), ("spare", 0))),
        ),
        RuleConfig(
            "mobile",
            30,
            (ConditionConfig("http-header", ("*Mobile*",), header_name="User-Agent"),),
            RedirectConfig(302, host="m.mycompany.com"),
        ),
    ),
)
BOTS_REFUSED = {
    "name": "bots",
    "priority": 5,
    "matched": False,
    "refused_by": {"condition": "query-string", "saw": "x=1"},
}
USERS_REFUSED = {
    "name": "users",
    "priority": 10,
    "matched": False,
    "refused_by": {"condition": "path-pattern", "saw": "/a/é"},
}


def explained(target: str, *headers: tuple[str, str]) -> dict[str, Any]:
    view = RequestView.of("GET", target, [("Host", "api.mycompany.com"), *headers])
    return explain(LISTENER, compile_table(LISTENER), view, forwarded_host=b"api.mycompany.com")


def test_a_forward() -> None:
    document = explained("/api/users?x=1")

    assert document == {
        "listener": "web",
        "rule": {"name": "users", "priority": 10},
        "authentication": None,
        "action": "forward",
        "target_groups": {"monolith": 90, "users": 10, "spare": 0},
        "redirect": None,
        "fixed_response": None,
        "forwarded": {"host": "api.mycompany.com", "target": "/api/users?x=1"},
        "tried": [BOTS_REFUSED, {"name": "users", "priority": 10, "matched": True, "refused_by": None}],
    }
    assert document == json.loads(json.dumps(document))


def test_a_fixed_response() -> None:
    assert explained("/?utm_source=bot") == {
        "listener": "web",
        "rule": {"name": "bots", "priority": 5},
        "authentication": None,
        "action": "fixed-response",
        "target_groups": {},
        "redirect": None,
        "fixed_response": {"status": 403, "content_type": "text/plain", "body": "no bots today"},
        "forwarded": None,
        "tried": [{"name": "bots", "priority": 5, "matched": True, "refused_by": None}],
    }


def test_a_redirect() -> None:
    assert explained("/a/%C3%A9?x=1", ("User-Agent", "a mobile b")) == {
        "listener": "web",
        "rule": {"name": "mobile", "priority": 30},
        "authentication": None,
        "action": "redirect",
        "target_groups": {},
        "redirect": {"status": 302, "location": "http://m.mycompany.com:80/a/%C3%A9?x=1"},
        "fixed_response": None,
        "forwarded": None,
        "tried": [
            BOTS_REFUSED,
            USERS_REFUSED,
            {"name": "mobile", "priority": 30, "matched": True, "refused_by": None},
        ],
    }


def test_the_default_rule() -> None:
    assert explained("/a/%C3%A9?x=1") == {
        "listener": "web",
        "rule": {"name": "default", "priority": None},
        "authentication": None,
        "action": "forward",
        "target_groups": {"monolith": 1},
        "redirect": None,
        "fixed_response": None,
        "forwarded": {"host": "api.mycompany.com", "target": "/a/%C3%A9?x=1"},
        "tried": [
            BOTS_REFUSED,
            USERS_REFUSED,
            {
                "name": "mobile",
                "priority": 30,
                "matched": False,
                "refused_by": {"condition": "http-header", "saw": "(absent)"},
            },
            {"name": "default", "priority": None, "matched": True, "refused_by": None},
        ],
    }


def test_a_redirect_that_cannot_be_made_says_why() -> None:
    listener = ListenerConfig("web", 80, RedirectConfig(301, protocol="HTTPS"))

    with pytest.raises(BadRequestError):
        explain(listener, compile_table(listener), RequestView.of("GET", "/"), forwarded_host=b"")


LOGIN = LoginConfig(
    "authenticate-oidc",
    "https://id.mycompany.com",
    "https://id.mycompany.com/authorize",
    "https://id.mycompany.com/token",
    "https://id.mycompany.com/userinfo",
    "the-client-id",
    "the-client-secret",
    on_unauthenticated_request="deny",
)
TOKENS = JwtValidationConfig("https://tokens.mycompany.com", "https://tokens.mycompany.com/keys")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        pytest.param(
            "/api/users",
            {
                "type": "authenticate-oidc",
                "issuer": "https://id.mycompany.com",
                "on_unauthenticated_request": "deny",
            },
            id="a login",
        ),
        pytest.param(
            "/",
            {"type": "jwt-validation", "issuer": "https://tokens.mycompany.com", "on_unauthenticated_request": None},
            id="the default rule's tokens",
        ),
        pytest.param("/?utm_source=bot", None, id="none on this rule"),
    ],
)
def test_an_authentication_action_is_shown_without_its_secret(path: str, shown: dict[str, Any] | None) -> None:
    bots, users, mobile = LISTENER.rules
    rules = (bots, replace(users, authentication=LOGIN), mobile)
    listener = replace(LISTENER, protocol="HTTPS", rules=rules, default_authentication=TOKENS)
    view = RequestView.of("GET", path, [("Host", "api.mycompany.com")], scheme="https")

    document = explain(listener, compile_table(listener), view, forwarded_host=b"api.mycompany.com")

    assert document["authentication"] == shown
    assert "the-client" not in json.dumps(document)
