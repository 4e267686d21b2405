"""`explain --json`, whole documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.config.model import (
    ConditionConfig,
    FixedResponseConfig,
    ForwardConfig,
    ListenerConfig,
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
