"""How a question to /api/explain becomes a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from admin_fakes import CONFIG, EXPLANATION, FakeGateway, FakeRuntime, get, post

from proxy.admin.app import create_admin
from proxy.errors import BadRequestError


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        pytest.param(
            {"url": "http://api.mycompany.com:8080/api/users?x=1"},
            ("web", "GET", "/api/users?x=1", [("Host", "api.mycompany.com:8080")], "127.0.0.1"),
            id="a URL's host is the Host header, its port the listener",
        ),
        pytest.param(
            {"url": "http://h:8081/"}, ("internal", "GET", "/", [("Host", "h:8081")], "127.0.0.1"), id="another port"
        ),
        pytest.param(
            {"url": "http://h:8080"}, ("web", "GET", "/", [("Host", "h:8080")], "127.0.0.1"), id="no path is /"
        ),
        pytest.param(
            {"url": "http://h:8080?a=b"},
            ("web", "GET", "/?a=b", [("Host", "h:8080")], "127.0.0.1"),
            id="no path but a query",
        ),
        pytest.param(
            {"url": "HTTP://h:8080//a/../b;c/%2e%2E?q=%41+#part"},
            ("web", "GET", "//a/../b;c/%2e%2E?q=%41+", [("Host", "h:8080")], "127.0.0.1"),
            id="nothing is normalised, the fragment is cut off",
        ),
        pytest.param(
            {"url": "/path", "listener": "internal", "source_ip": "2001:DB8::1", "method": "PUT"},
            ("internal", "PUT", "/path", [], "2001:db8::1"),
            id="a bare path has no Host",
        ),
        pytest.param(
            {"url": "http://h:8080/", "header": ["User-Agent:  x: y ", "X-Empty:"]},
            (
                "web",
                "GET",
                "/",
                [("Host", "h:8080"), ("User-Agent", "x: y"), ("X-Empty", "")],
                "127.0.0.1",
            ),
            id="header lines keep their order",
        ),
        pytest.param(
            {"url": "http://h:8080/", "header": ["host: other"]},
            ("web", "GET", "/", [("host", "other")], "127.0.0.1"),
            id="a given Host beats the URL's",
        ),
        pytest.param(
            {"url": "http://h:8080/", "target": "*", "method": "OPTIONS"},
            ("web", "OPTIONS", "*", [("Host", "h:8080")], "127.0.0.1"),
            id="a raw target",
        ),
        pytest.param(
            {"url": "http://h:8080/\u00e4", "header": ["A: \u20ac"]},
            ("web", "GET", "/\u00c3\u00a4", [("Host", "h:8080"), ("A", "\u00e2\u0082\u00ac")], "127.0.0.1"),
            id="a letter beyond ASCII is the bytes of its UTF-8",
        ),
    ],
)
def test_questions(question: dict[str, Any], asked: tuple[Any, ...]) -> None:
    """GET and POST ask the same and get the document that the command line prints."""
    gateway = FakeGateway()
    app = create_admin(gateway)

    by_get, by_post = get(app, "/api/explain", params=question), post(app, "/api/explain", json=question)

    assert (by_get.status_code, by_post.status_code) == (200, 200), by_get.text + by_post.text
    assert by_get.json() == by_post.json() == EXPLANATION
    assert gateway.explained == [asked, asked]


def test_a_single_listener_takes_any_port() -> None:
    gateway = FakeGateway(FakeRuntime(replace(CONFIG, listeners=CONFIG.listeners[:1])))

    assert get(create_admin(gateway), "/api/explain", params={"url": "http://h/"}).status_code == 200
    assert gateway.explained[0][0] == "web"


@pytest.mark.parametrize(
    ("question", "said"),
    [
        pytest.param({"url": "http://h:8080/a b"}, "percent-encode", id="a space in the URL"),
        pytest.param({"url": "http://h:8080/a\r\nX: y"}, "percent-encode", id="a line end in the URL"),
        pytest.param({"url": "ftp://h/"}, "neither http://host/path nor /path", id="another scheme"),
        pytest.param({"url": "http:///path"}, "needs a host", id="no host"),
        pytest.param({"url": "http://user:pw@h/"}, "without user and password", id="credentials"),
        pytest.param({"url": "http://h:9/"}, "name one of web (port 8080), internal", id="a port of no listener"),
        pytest.param({"url": "/path"}, "name one of web (port 8080), internal", id="no port at all"),
        pytest.param(
            {"url": "/", "listener": "wed"},
            "no listener 'wed': there is web (port 8080)",
            id="an unknown listener",
        ),
        pytest.param({"url": "/", "listener": "web", "method": "G T"}, "is not a method", id="a bad method"),
        pytest.param(
            {"url": "/", "listener": "web", "source_ip": "10.0.0.0/8"}, "not an IP address", id="a bad address"
        ),
        pytest.param(
            {"url": "/", "listener": "web", "header": ["no colon"]}, "is not 'Name: value'", id="a bad header"
        ),
        pytest.param(
            {"url": "/", "listener": "web", "header": ["A: b\r\nC: d"]}, "has a line end", id="a header of two lines"
        ),
        pytest.param({"url": "/", "listener": "web", "target": "/a\r\nb"}, "percent-encode", id="a bad raw target"),
        pytest.param({"url": "/" + "x" * 20000}, "url", id="a URL without end"),
        pytest.param({"url": "/", "header": ["A: b"] * 101}, "header", id="too many headers"),
        pytest.param({"uri": "/"}, "uri", id="an unknown field"),
    ],
)
def test_what_no_client_could_send(question: dict[str, Any], said: str) -> None:
    gateway = FakeGateway()
    app = create_admin(gateway)

    for response in (get(app, "/api/explain", params=question), post(app, "/api/explain", json=question)):
        assert response.status_code == 422
        assert said in response.json()["error"]
    assert gateway.explained == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 60_000])
def test_a_body_that_is_no_question(content: bytes) -> None:
    response = post(
        create_admin(FakeGateway()),
        "/api/explain",
        content=content,
        headers={"content-type": "application/json"},
    )

    assert response.status_code in (400, 422)
    assert response.json()["error"]


def test_a_request_that_the_rule_cannot_answer() -> None:
    gateway = FakeGateway(explanation=BadRequestError("the Host header is missing"))
    response = get(create_admin(gateway), "/api/explain", params={"url": "/", "listener": "web"})

    assert response.status_code == 422
    assert "would answer this request with 400: the Host header is missing" in response.json()["error"]


def test_before_the_first_table() -> None:
    assert get(create_admin(FakeGateway(runtime=None)), "/api/explain").status_code == 503
