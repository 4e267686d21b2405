"""Requests as events: to the letter, and as AWS's own models and another's adapter read them."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest
from aws_lambda_powertools.utilities.parser.models import (
    AlbModel,
    APIGatewayProxyEventModel,
    APIGatewayProxyEventV2Model,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from mangum import Mangum

from proxy.config.arns import target_group_arn
from proxy.errors import IntegrationError
from proxy.integrations import alb
from proxy.integrations.api_gateway import event_1_0, event_2_0
from proxy.integrations.message import HttpRequest

ARN = target_group_arn("users")
REQUEST = HttpRequest(
    b"POST",
    b"/capture/space%20value?empty=&encodedPlus=a%2Bb&literalPlus=a+b&repeat=one&repeat=two&bare",
    [
        (b"Host", b"api.example.com"),
        (b"Content-Type", b"application/json; charset=utf-8"),
        (b"Content-Length", b"7"),
        (b"User-Agent", b"curl/8"),
        (b"Cookie", b"a=1; b=2"),
        (b"X-Probe", b"first"),
        (b"x-probe", b"second"),
        (b"X-Forwarded-For", b"10.0.0.1, 10.0.0.2"),
    ],
    b'{"a":1}',
    client="10.0.0.2",
    received_at=1_583_348_638.39,
)


def test_the_load_balancers_event() -> None:
    assert alb.event(REQUEST, ARN, multi_value=False) == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "POST",
        "path": "/capture/space%20value",
        "queryStringParameters": {
            "empty": "",
            "encodedPlus": "a%2Bb",
            "literalPlus": "a+b",
            "repeat": "two",
            "bare": "",
        },
        "headers": {
            "host": "api.example.com",
            "content-type": "application/json; charset=utf-8",
            "content-length": "7",
            "user-agent": "curl/8",
            "cookie": "a=1; b=2",
            "x-probe": "second",
            "x-forwarded-for": "10.0.0.1, 10.0.0.2",
        },
        "body": '{"a":1}',
        "isBase64Encoded": False,
    }


def test_the_load_balancers_event_with_lists() -> None:
    event = alb.event(REQUEST, ARN, multi_value=True)

    assert event["multiValueQueryStringParameters"]["repeat"] == ["one", "two"]
    assert event["multiValueHeaders"]["x-probe"] == ["first", "second"]
    assert event.keys().isdisjoint({"headers", "queryStringParameters"})


def test_payload_1_0() -> None:
    event = event_1_0(REQUEST, "users")
    context = event["requestContext"]

    assert event["version"] == "1.0"
    assert event["path"] == context["path"] == "/capture/space value"
    assert event["headers"]["Content-Type"] == "application/json; charset=utf-8"
    assert event["multiValueHeaders"]["x-probe"] == ["first", "second"]
    assert event["queryStringParameters"]["encodedPlus"] == "a+b"
    assert event["queryStringParameters"]["literalPlus"] == "a b"
    assert event["multiValueQueryStringParameters"]["repeat"] == ["one", "two"]
    assert event["pathParameters"] is event["stageVariables"] is None
    assert (event["body"], event["isBase64Encoded"]) == ('{"a":1}', False)
    assert context["identity"]["sourceIp"] == "10.0.0.2"
    assert context["requestTime"] == "04/Mar/2020:19:03:58 +0000"
    assert context["requestTimeEpoch"] == 1_583_348_638_390


def test_payload_2_0() -> None:
    event = event_2_0(REQUEST, "users")
    context = event["requestContext"]

    assert event["version"] == "2.0"
    assert event["rawPath"] == "/capture/space value"
    assert event["rawQueryString"] == REQUEST.query.decode()
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-probe"] == "first,second"
    assert event["queryStringParameters"]["repeat"] == "one,two"
    assert context["http"] == {
        "method": "POST",
        "path": "/capture/space value",
        "protocol": "HTTP/1.1",
        "sourceIp": "10.0.0.2",
        "userAgent": "curl/8",
    }
    assert (context["time"], context["timeEpoch"]) == ("04/Mar/2020:19:03:58 +0000", 1_583_348_638_390)
    assert event.keys().isdisjoint({"pathParameters", "stageVariables", "multiValueHeaders"})


def test_a_verified_token_is_the_authorizer() -> None:
    """Every claim is text, a list in brackets, as an HTTP API has it."""
    claims = {"sub": "u-1", "exp": 1_700_000_000, "ok": True, "roles": ["a", "b"]}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    request = HttpRequest(b"GET", b"/", [], token=b"e30." + payload + b".c2ln")
    told = {
        "claims": {"sub": "u-1", "exp": "1700000000", "ok": "true", "roles": "[a b]"},
        "scopes": None,
    }

    assert event_1_0(request, "users")["requestContext"]["authorizer"] == told
    assert event_2_0(request, "users")["requestContext"]["authorizer"] == {"jwt": told}
    assert event_1_0(REQUEST, "users")["requestContext"]["authorizer"] == {"claims": None, "scopes": None}
    assert "authorizer" not in event_2_0(REQUEST, "users")["requestContext"]


def test_what_is_absent() -> None:
    """An empty string for the load balancer, null in 1.0, nothing in 2.0."""
    request = HttpRequest(b"GET", b"/", [(b"Host", b"x")])
    first, second = event_1_0(request, "users"), event_2_0(request, "users")

    assert alb.event(request, ARN, multi_value=False)["body"] == ""
    assert alb.event(request, ARN, multi_value=False)["queryStringParameters"] == {}
    assert first["body"] is first["queryStringParameters"] is first["multiValueQueryStringParameters"] is None
    assert second.keys().isdisjoint({"body", "cookies", "queryStringParameters"})


def test_an_http_api_cuts_the_path_at_a_decoded_question_mark() -> None:
    assert event_2_0(HttpRequest(b"GET", b"/a%3Fb/c?d=1", []), "users")["rawPath"] == "/a"


ENCODED = [
    pytest.param([], b"x", True, id="no type"),
    pytest.param([(b"Content-Type", b"text/csv")], b"x", False, id="text"),
    pytest.param([(b"Content-Type", b"Application/JSON;charset=utf-8")], b"x", False, id="JSON"),
    pytest.param([(b"Content-Type", b"application/javascript")], b"x", False, id="JavaScript"),
    pytest.param([(b"Content-Type", b"application/xml")], b"x", False, id="XML"),
    pytest.param([(b"Content-Type", b"application/x-www-form-urlencoded")], b"x", True, id="a form"),
    pytest.param([(b"Content-Type", b"image/png")], b"\x89P", True, id="an image"),
    pytest.param([(b"Content-Type", b"text/html"), (b"Content-Encoding", b"gzip")], b"\x1f", True, id="compressed"),
    pytest.param([(b"Content-Type", b"image/png")], b"", False, id="nothing"),
]


@pytest.mark.parametrize(("headers", "body", "encoded"), ENCODED)
def test_which_bodies_are_in_base64(headers: list[tuple[bytes, bytes]], body: bytes, encoded: bool) -> None:
    request = HttpRequest(b"POST", b"/", headers, body)
    for event in (
        alb.event(request, ARN, multi_value=False),
        event_1_0(request, "users"),
        event_2_0(request, "users"),
    ):
        text = event.get("body") or ""
        assert event["isBase64Encoded"] is encoded
        assert (base64.b64decode(text) if encoded else text.encode()) == body


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(HttpRequest(b"POST", b"/", [(b"Content-Type", b"text/plain")], b"\xff"), id="body"),
        pytest.param(HttpRequest(b"GET", b"/", [(b"X", b"\xff")]), id="header"),
        pytest.param(HttpRequest(b"GET", b"/\xff", []), id="path"),
        pytest.param(HttpRequest(b"GET", b"/?\xff", []), id="query"),
    ],
)
def test_what_is_not_utf_8_is_lambda_bad_request(request_: HttpRequest) -> None:
    with pytest.raises(IntegrationError) as caught:
        alb.event(request_, ARN, multi_value=False)

    assert (caught.value.reason, caught.value.status) == ("LambdaBadRequest", 400)
    json.dumps(event_1_0(request_, "users"))
    json.dumps(event_2_0(request_, "users"))


def test_a_health_check() -> None:
    event = alb.event(alb.health_check_request("/up", 0.0), ARN, multi_value=False)

    assert event == {
        "requestContext": {"elb": {"targetGroupArn": ARN}},
        "httpMethod": "GET",
        "path": "/up",
        "queryStringParameters": {},
        "headers": {"user-agent": "ELB-HealthChecker/2.0"},
        "body": "",
        "isBase64Encoded": False,
    }


TOKENS = st.text("abcXYZ09-_", min_size=1, max_size=8).map(str.encode)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=",;"), max_size=12)
PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/?#&=+,%", exclude_categories=("Cs", "Cc")), max_size=6
)
TYPES = st.sampled_from([b"text/plain", b"application/json", b"image/png"])


def _quoted(text: str) -> bytes:
    return "".join(f"%{byte:02X}" for byte in text.encode()).encode()


@st.composite
def requests(draw: st.DrawFn) -> HttpRequest:
    path = b"/" + b"/".join(_quoted(part) for part in draw(st.lists(PARTS, max_size=3)))
    pairs = draw(st.lists(st.tuples(TOKENS, PARTS), max_size=4))
    query = b"&".join(name + b"=" + _quoted(value) for name, value in pairs)
    extra = draw(st.lists(st.tuples(TOKENS, VALUES.map(str.encode)), max_size=4))
    kind = draw(TYPES)
    body = draw(st.binary(max_size=40) if kind == b"image/png" else st.text(max_size=20).map(str.encode))
    headers = [(b"Host", b"x.example"), (b"User-Agent", b"t"), (b"Content-Type", kind)]
    headers += [(b"X-" + name, value) for name, value in extra]
    target = path + (b"?" + query if query else b"")
    return HttpRequest(b"POST", target, headers, body, client="10.0.0.2", received_at=1e9)


def _seen_by_mangum(event: dict[str, Any]) -> dict[str, Any]:
    """What an ASGI application behind another's adapter sees of the request."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        seen.update(scope, body=message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        Mangum(app, lifespan="off")(event, None)  # type: ignore[arg-type]
        asyncio.set_event_loop(None)
    return seen


@settings(deadline=None)
@given(requests())
def test_the_models_of_aws_take_the_events(request: HttpRequest) -> None:
    AlbModel.model_validate(alb.event(request, ARN, multi_value=False))
    APIGatewayProxyEventModel.model_validate(event_1_0(request, "users"))
    APIGatewayProxyEventV2Model.model_validate(event_2_0(request, "users"))


@settings(deadline=None)
@given(requests())
def test_the_way_back_gives_the_request(request: HttpRequest) -> None:
    """What another's adapter makes of our event is what was sent, as far as the format carries it."""
    path = unquote(request.path.decode())
    names = {name.lower() for name, _ in request.headers}
    for event in (
        alb.event(request, ARN, multi_value=True),
        event_1_0(request, "users"),
        event_2_0(request, "users"),
    ):
        seen = _seen_by_mangum(event)
        assert seen["body"] == request.body
        assert seen["method"] == "POST"
        assert seen["path"] == path
        assert {name for name, _ in seen["headers"]} >= names
        assert _decoded_pairs(seen["query_string"]) == _decoded_pairs(request.query)


def _decoded_pairs(query: bytes) -> dict[bytes, list[bytes]]:
    """Values by name; a comma parts them, as in payload 2.0, and none of ours has one."""
    found: dict[bytes, list[bytes]] = {}
    for pair in query.split(b"&"):
        name, mark, value = pair.partition(b"=")
        if mark:
            found.setdefault(unquote_to_bytes(name), []).extend(unquote_to_bytes(value.replace(b"+", b" ")).split(b","))
    return found
