"""Logins and bearer tokens over real sockets, with a provider that can misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from certificates import Authority
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http2_peers import Http2Client
from live_gateway import Door, LiveGateway, wait_until
from login_site import HOST, KEY, Browser, Site, jwt_at, login_at, rule
from oidc_provider import CLIENT_ID, CLIENT_SECRET, Answer, OidcProvider, jwk, sign
from scripted_target import ScriptedTarget
from served import serving
from wire import connect

from proxy.auth.authentication import Authentication
from proxy.config.model import (
    FixedResponseConfig,
    RuleConfig,
)
from proxy.http1.sealed import Sealer


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    one = OidcProvider()
    yield one
    one.close()


@pytest.fixture
def site(gateway: Callable[..., LiveGateway], target: Callable[..., ScriptedTarget]) -> Callable[..., Site]:
    def make(*rules: RuleConfig, door: Door = "listener") -> Site:
        one = target()
        return Site(gateway(one.port, rules=rules, door=door), one, door)

    return make


# The flow


def test_a_login_from_the_first_request_to_the_page(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider, extra_params=(("prompt", "login"),), scope="openid email")))
    browser = Browser(here)

    first = browser.get("/shop/%41?x=1&y=%20")
    query = {name: values[0] for name, values in parse_qs(urlsplit(first.headers["location"]).query).items()}
    assert first.headers["location"].startswith(f"{provider.url}/authorize?")
    assert query["redirect_uri"] == f"https://{HOST}/oauth2/idpresponse"
    assert (query["response_type"], query["scope"], query["prompt"]) == ("code", "openid email", "login")
    assert query["client_id"] == CLIENT_ID
    assert browser.cookies["AWSALBAuthNonce"] not in first.headers["location"]

    back = browser.log_in("/shop/%41?x=1&y=%20")
    assert (back.status_code, back.headers["location"]) == (302, f"https://{HOST}/shop/%41?x=1&y=%20")
    assert set(browser.cookies) == {"AWSELBAuthSessionCookie-0"}
    _, form, headers = next(asked for asked in provider.asked if asked[0] == "/token")
    assert form["grant_type"] == "authorization_code"
    assert base64.b64decode(headers["authorization"].split()[1]) == b"the+client:s3cret%3A%2F%2B"

    page = browser.get("/shop/%41?x=1&y=%20")
    assert page.status_code == 200
    received = here.last()
    assert received.value("x-amzn-oidc-identity") == b"user-1"
    assert (received.value("x-amzn-oidc-accesstoken") or b"").startswith(b"access-")
    assert here.live.record(4).authenticated


def test_the_data_header_is_an_es256_token_with_padding(provider: OidcProvider, site: Callable[..., Site]) -> None:
    provider.user_info = {"name": "Zoë \r\nX: y"}
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    browser.get("/")

    head, payload, signature = (here.last().value("x-amzn-oidc-data") or b"").split(b".")
    header, claims = json.loads(base64.urlsafe_b64decode(head)), json.loads(base64.urlsafe_b64decode(payload))
    assert set(header) == {"typ", "kid", "alg", "iss", "client", "signer", "exp"}
    assert (header["alg"], header["client"], header["iss"]) == ("ES256", CLIENT_ID, provider.url)
    assert len(head) % 4 == len(payload) % 4 == len(signature) % 4 == 0
    assert (claims["sub"], claims["name"], claims["iss"]) == ("user-1", "Zoë \r\nX: y", provider.url)
    pem = here.live.gateway.authentication.public_key(header["kid"])
    assert pem is not None
    public = load_pem_public_key(pem)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    raw = base64.urlsafe_b64decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(der, head + b"." + payload, ec.ECDSA(SHA256()))
    assert Authentication(Sealer(KEY), here.live.gateway.metrics).public_key(header["kid"]) == pem
    assert Authentication(Sealer(b"x" * 32), here.live.gateway.metrics).public_key(header["kid"]) is None


def test_a_login_goes_on_at_another_gateway_with_the_same_key(
    provider: OidcProvider, site: Callable[..., Site]
) -> None:
    browser = Browser(site(rule(login_at(provider))))
    back = browser.begin("/page")
    browser.site = site(rule(login_at(provider)))
    assert browser.get(back).headers["location"] == f"https://{HOST}/page"
    browser.site = site(rule(login_at(provider)))
    assert browser.get("/page").status_code == 200


@pytest.mark.parametrize("door", ["asgi", "http2"])
def test_a_login_by_another_door(provider: OidcProvider, site: Callable[..., Site], door: Door) -> None:
    here = site(rule(login_at(provider)), door=door)
    browser = Browser(here)
    assert browser.log_in("/page").status_code == 302
    here.ahead = 301
    provider.id_token = {"exp": int(time.time()) + 900}
    before = dict(browser.cookies)
    assert browser.get("/page").status_code == 200
    assert browser.cookies != before
    assert here.last().value("x-amzn-oidc-identity") == b"user-1"


def test_a_rule_for_a_path_has_its_callback_although_another_rule_takes_it(
    provider: OidcProvider, site: Callable[..., Site]
) -> None:
    browser = Browser(site(rule(login_at(provider), "/admin/*"), rule(None, "/*", 6)))
    assert browser.log_in("/admin/x").headers["location"] == f"https://{HOST}/admin/x"
    assert browser.get("/oauth2/idpresponse?state=mine").status_code == 200, "nobody's callback is an ordinary request"


@pytest.mark.parametrize(
    "sent",
    [
        {"X-Amzn-Oidc-Identity": "root"},
        {"X_Amzn_Oidc_Identity": "root"},
        {"x-amzn-oidc-data": "e30.e30.x", "X-Amzn-Oidc-Accesstoken": "t"},
        {"Connection": "keep-alive, x-amzn-oidc-identity"},
    ],
    ids=["identity", "with underscores", "data and token", "taken away by Connection"],
)
def test_claims_come_from_the_gateway_alone(
    provider: OidcProvider, site: Callable[..., Site], sent: dict[str, str]
) -> None:
    here = site(rule(login_at(provider, on_unauthenticated_request="allow")))
    browser = Browser(here)
    browser.get("/", **sent)
    assert not any(b"oidc" in name.lower() for name, _ in here.last().headers)
    logged_in = Browser(site(rule(login_at(provider))))
    logged_in.log_in()
    logged_in.get("/", **sent)
    names = [(name.lower().replace(b"_", b"-"), value) for name, value in logged_in.site.last().headers]
    assert [value for name, value in names if name == b"x-amzn-oidc-identity"] == [b"user-1"]


# Nobody is logged in


@pytest.mark.parametrize(("wanted", "status"), [("authenticate", 302), ("deny", 401), ("allow", 200)])
def test_without_a_session(provider: OidcProvider, site: Callable[..., Site], wanted: Any, status: int) -> None:
    here = site(rule(login_at(provider, on_unauthenticated_request=wanted)))
    assert Browser(here).get("/").status_code == status


@pytest.mark.parametrize(("wanted", "status"), [("authenticate", 302), ("deny", 302), ("allow", 200)])
def test_with_an_expired_session(provider: OidcProvider, site: Callable[..., Site], wanted: Any, status: int) -> None:
    provider.tokens = {"refresh_token": None}
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    browser.site = late = site(rule(login_at(provider, on_unauthenticated_request=wanted, session_timeout_seconds=60)))
    assert browser.get("/").status_code == 200
    late.ahead = 61
    assert browser.get("/").status_code == status
    if wanted == "allow":
        assert late.last().value("x-amzn-oidc-identity") is None


@pytest.mark.parametrize(("wanted", "status"), [("authenticate", 302), ("deny", 401), ("allow", 200)])
@pytest.mark.parametrize("harm", ["changed", "cut", "url-encoded", "another client's", "rubbish", "long"])
def test_with_a_cookie_that_is_not_ours(
    provider: OidcProvider, site: Callable[..., Site], wanted: Any, status: int, harm: str
) -> None:
    config = login_at(provider, client_id="other" if harm == "another client's" else CLIENT_ID)
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    name = "AWSELBAuthSessionCookie-0"
    value = browser.cookies[name]
    changed = value[:40] + ("A" if value[40] != "A" else "B") + value[41:]
    browser.cookies[name] = {
        "changed": changed,
        "cut": value[:-4],
        "url-encoded": value.replace("=", "%3D").replace("/", "%2F") + "%3D",
        "another client's": value,
        "rubbish": "\x7f,,",
        "long": "A" * 15000,
    }[harm]
    browser.site = site(rule(replace(config, on_unauthenticated_request=wanted)))
    response = browser.get("/")
    assert response.status_code == status
    if status == 401:
        assert browser.site.live.record().reason == "AuthInvalidCookie"
    if status == 200:
        assert browser.site.last().value("x-amzn-oidc-identity") is None


def test_without_a_host_there_is_no_way_back(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    with connect(here.live.port) as wire:
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert wire.response().status == 401
    assert here.live.record().reason == "AuthMissingHostHeader"


@pytest.mark.parametrize(
    "request_target",
    [
        b"//evil.example/x",
        b"/\\evil.example",
        b"http://evil.example/x",
        b"/a?x=%0d%0aSet-Cookie:a=b",
        b"/@evil.example",
    ],
)
def test_the_way_back_stays_on_the_host(
    provider: OidcProvider, site: Callable[..., Site], request_target: bytes
) -> None:
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    with connect(here.live.port) as wire:
        wire.send(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (request_target, HOST.encode()))
        first = wire.response()
    browser.cookies["AWSALBAuthNonce"] = (first.value("set-cookie") or b"").split(b";")[0].split(b"=", 1)[1].decode()
    back = httpx.get((first.value("location") or b"").decode(), trust_env=False).headers["location"]
    end = browser.get(back)
    assert end.status_code == 302
    assert end.headers["location"].startswith(f"https://{HOST}/")
    assert urlsplit(end.headers["location"]).hostname == HOST


# The callback


def without(name: str, url: str) -> str:
    base, _, query = url.partition("?")
    return base + "?" + "&".join(pair for pair in query.split("&") if not pair.startswith(name + "="))


def test_a_callback_that_cannot_be_trusted(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    back = (browser := Browser(here)).begin("/")
    stranger, other_login = Browser(here), Browser(here)
    other_login.begin("/")
    other_host = {"Host": "other.example.com"}
    cases: list[tuple[str, Callable[[], httpx.Response]]] = [
        ("AuthMissingStateParam", lambda: browser.get(without("state", back))),
        ("AuthInvalidStateParam", lambda: browser.get(without("state", back) + "&state=x")),
        ("AuthInvalidStateParam", lambda: browser.get(back, **other_host)),
        ("AuthMissingCodeParam", lambda: browser.get(without("code", back))),
        ("AuthMissingAWSALBAuthNonce", lambda: stranger.get(back)),
        ("AuthInvalidAWSALBAuthNonce", lambda: other_login.get(back)),
        ("Auth.AccessDenied", lambda: browser.get(without("code", back) + "&error=access_denied")),
    ]
    for reason, send in cases:
        assert send().status_code == 401, reason
        assert here.live.records.all[-1].reason == reason
    assert browser.get(without("code", back) + "&error=server_error").status_code == 561
    assert provider.count("/token") == 0

    assert browser.get(back).status_code == 302
    assert browser.get(back).status_code == 401, "a second use: the nonce is gone"
    browser.cookies["AWSALBAuthNonce"] = other_login.cookies["AWSALBAuthNonce"]
    assert browser.get(back).status_code == 401


def test_a_login_has_15_minutes(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    back = browser.begin("/")
    here.ahead = 15 * 60 + 2
    assert browser.get(back).status_code == 401
    assert here.live.records.all[-1].reason == "AuthInvalidStateParam"


BIG = Answer(200, b'{"a":"' + b"x" * 200_000 + b'"}')
MISBEHAVIOUR: dict[str, tuple[dict[str, Any], int, str]] = {
    "token: 500": ({"/token": Answer(500)}, 500, "AuthTokenEpRequestFailed"),
    "token: redirect": ({"/token": Answer(302)}, 500, "AuthTokenEpRequestFailed"),
    "token: garbage": ({"/token": Answer(200, b"\xff{")}, 401, "AuthInvalidTokenResponse"),
    "token: nested": ({"/token": Answer(200, b"[" * 100_000)}, 401, "AuthInvalidTokenResponse"),
    "token: list": ({"/token": Answer(200, [])}, 401, "AuthInvalidTokenResponse"),
    "token: too large": ({"/token": BIG}, 401, "AuthInvalidTokenResponse"),
    "token: slow": ({"/token": Answer(wait=True)}, 500, "AuthTokenEpRequestTimeout"),
    "token: invalid_grant": ({"/token": Answer(400, {"error": "invalid_grant"})}, 401, "AuthInvalidGrantError"),
    "token: invalid_client": ({"/token": Answer(401, {"error": "invalid_client"})}, 561, "Auth.ProviderError"),
    "token: no id_token": ({"tokens": {"id_token": None}}, 401, "AuthInvalidTokenResponse"),
    "token: no access_token": ({"tokens": {"access_token": None}}, 401, "AuthInvalidTokenResponse"),
    "token: header in access_token": ({"tokens": {"access_token": "a\r\nX: y"}}, 401, "AuthInvalidTokenResponse"),
    "token: token_type": ({"tokens": {"token_type": "mac"}}, 401, "AuthInvalidTokenResponse"),
    "id_token: issuer": ({"id_token": {"iss": "https://evil"}}, 401, "AuthInvalidIdToken"),
    "id_token: audience": ({"id_token": {"aud": "other"}}, 401, "AuthInvalidIdToken"),
    "id_token: several audiences": ({"id_token": {"aud": [CLIENT_ID, "other"]}}, 401, "AuthInvalidIdToken"),
    "id_token: azp": ({"id_token": {"azp": "other"}}, 401, "AuthInvalidIdToken"),
    "id_token: expired": ({"id_token": {"exp": 1}}, 401, "AuthInvalidIdToken"),
    "id_token: no exp": ({"id_token": {"exp": None}}, 401, "AuthInvalidIdToken"),
    "id_token: nonce": ({"id_token": {"nonce": "other"}}, 401, "AuthInvalidIdToken"),
    "id_token: no nonce": ({"id_token": {"nonce": None}}, 401, "AuthInvalidIdToken"),
    "id_token: header in sub": ({"id_token": {"sub": "a\r\nX: y"}}, 401, "AuthInvalidIdToken"),
    "id_token: alg none": ({"id_token_header": {"alg": "none"}}, 401, "AuthInvalidIdToken"),
    "id_token: HS256": ({"id_token_header": {"alg": "HS256"}}, 401, "AuthInvalidIdToken"),
    "userinfo: 500": ({"/userinfo": Answer(500)}, 500, "AuthUserinfoEpRequestFailed"),
    "userinfo: slow": ({"/userinfo": Answer(wait=True)}, 500, "AuthUserinfoEpRequestTimeout"),
    "userinfo: garbage": ({"/userinfo": Answer(200, b"nope")}, 401, "AuthInvalidUserinfoResponse"),
    "userinfo: another user": ({"user_info": {"sub": "user-2"}}, 401, "AuthInvalidUserinfoResponse"),
    "userinfo: over 150 K": ({"/userinfo": BIG}, 500, "AuthUserinfoResponseSizeExceeded"),
    "claims over 11 K": ({"user_info": {"a": "x" * 11_264}}, 500, "AuthUserinfoResponseSizeExceeded"),
}


@pytest.mark.parametrize(("how", "status", "reason"), MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
def test_a_provider_that_misbehaves(
    provider: OidcProvider, site: Callable[..., Site], how: dict[str, Any], status: int, reason: str
) -> None:
    here = site(rule(login_at(provider)))
    if "Timeout" in reason:
        # User info is asked for after the token, which has to come in time.
        here.timeout(1.0 if "Userinfo" in reason else 0.3)
    browser = Browser(here)
    for name, value in how.items():
        if name.startswith("/"):
            provider.instead[name] = value
        else:
            setattr(provider, name, value)
    response = browser.log_in()
    assert (response.status_code, here.live.record(2).reason) == (status, reason)
    assert "AWSELBAuthSessionCookie-0" not in browser.cookies


def test_a_provider_that_is_down(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider, token_endpoint="http://127.0.0.1:1/token")))
    assert Browser(here).log_in().status_code == 500
    assert here.live.record(2).reason == "AuthTokenEpRequestFailed"


@pytest.mark.parametrize(("size", "shards"), [(100, 1), (6000, 3), (10_900, 4)])
def test_a_session_is_cut_into_cookies_of_4_k(
    provider: OidcProvider, site: Callable[..., Site], size: int, shards: int
) -> None:
    provider.user_info = {"a": "x" * size}
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    assert sorted(browser.cookies) == [f"AWSELBAuthSessionCookie-{shard}" for shard in range(shards)]
    assert browser.get("/").status_code == 200
    provider.user_info = {}
    fresh = Browser(here)
    fresh.cookies = dict(browser.cookies)
    del fresh.cookies["AWSELBAuthSessionCookie-0"]
    fresh.log_in()
    assert sorted(fresh.cookies) == ["AWSELBAuthSessionCookie-0"], "shards of the longer one are taken away"


# Refresh


def test_claims_are_refreshed_when_the_access_token_expires(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    before = browser.cookies["AWSELBAuthSessionCookie-0"]
    old = Browser(here)
    old.cookies = dict(browser.cookies)
    provider.user_info = {"email": "new@example.com"}
    here.ahead = 301
    provider.id_token = {"exp": int(time.time()) + 900}
    assert browser.get("/").status_code == 200
    payload = (here.last().value("x-amzn-oidc-data") or b"").split(b".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload))["email"] == "new@example.com"
    assert browser.cookies["AWSELBAuthSessionCookie-0"] != before
    assert browser.get("/").status_code == 200
    assert old.get("/").status_code == 200, "a request that still had the old cookies"
    assert provider.count("/token") == 2, "each refresh token is used once"
    assert here.live.gateway.metrics.authentication("authenticate-oidc").refreshed == 1


@pytest.mark.parametrize(("wanted", "status"), [("authenticate", 302), ("deny", 302), ("allow", 200)])
def test_a_refresh_that_is_refused(provider: OidcProvider, site: Callable[..., Site], wanted: Any, status: int) -> None:
    here = site(rule(login_at(provider, on_unauthenticated_request=wanted)))
    allowed = site(rule(login_at(provider)))
    browser = Browser(allowed)
    browser.log_in()
    browser.site = here
    provider.refresh_tokens.clear()
    here.ahead = 301
    assert browser.get("/").status_code == status


def test_a_refresh_that_finds_nobody(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    provider.instead["/token"] = Answer(503)
    here.ahead = 301
    assert browser.get("/").status_code == 500


def test_refreshed_cookies_come_with_answers_of_the_gateway(provider: OidcProvider, site: Callable[..., Site]) -> None:
    config = login_at(provider)
    fixed = replace(rule(config), action=FixedResponseConfig(200, "text/plain", "hello"))
    here = site(fixed)
    browser = Browser(here)
    browser.log_in()
    before = dict(browser.cookies)
    here.ahead = 301
    provider.id_token = {"exp": int(time.time()) + 900}
    assert browser.get("/").text == "hello"
    assert browser.cookies != before


def test_a_body_waits_while_the_provider_is_asked(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    browser.log_in()
    here.ahead = 301
    provider.id_token = {"exp": int(time.time()) + 900}
    body = bytes(range(256)) * 4000
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with connect(here.live.port) as wire:
        wire.send(
            f"POST / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookies}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        wire.send(body)
        assert wire.response().status == 200
    assert here.last().body == body


def waiting_for_the_provider(live: LiveGateway) -> int:
    """How many requests are kept until a question to the provider is answered."""

    def count() -> int:
        return sum("_authenticate_later" in str(task.get_coro()) for task in asyncio.all_tasks())

    return int(live.call(count))


@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_requests_side_by_side_refresh_a_session_once(
    provider: OidcProvider, site: Callable[..., Site], door: Door
) -> None:
    here = site(rule(login_at(provider)), door=door)
    browser = Browser(here)
    browser.log_in()
    provider.id_token = {"exp": int(time.time()) + 900}
    here.ahead = 301
    provider.may_answer.clear()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()).encode()
    wires = [connect(here.live.port) for _ in range(8)]
    for number, wire in enumerate(wires):
        wire.send(b"GET /%d HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n" % (number, HOST.encode(), cookies))
    wait_until(lambda: waiting_for_the_provider(here.live) == 8, "the requests do not wait")
    assert provider.count("/token") <= 2
    provider.may_answer.set()
    answers = [wire.response() for wire in wires]
    for wire in wires:
        wire.close()
    assert {answer.status for answer in answers} == {200}
    assert provider.count("/token") == 2, "one for the login, one for all eight"
    assert {request.value("x-amzn-oidc-identity") for request in here.target.requests} == {b"user-1"}
    assert len({answer.values("set-cookie")[0].partition(b"=")[0] for answer in answers}) == 1
    for answer in answers:
        later = Browser(here)
        name, _, value = answer.values("set-cookie")[0].partition(b";")[0].decode().partition("=")
        later.cookies = {name: value}
        assert later.get("/").status_code == 200, "the cookies of each answer are good"
    assert provider.count("/token") == 2


def test_streams_of_one_connection_refresh_a_session_once(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)), door="http2")
    browser = Browser(here)
    browser.log_in()
    provider.id_token = {"exp": int(time.time()) + 900}
    here.ahead = 301
    provider.may_answer.clear()
    cookies = [("cookie", f"{name}={value}") for name, value in browser.cookies.items()]
    pseudo = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", HOST.encode())]
    with Http2Client(here.live.port) as client:
        streams = [client.begin(headers=cookies, pseudo=[*pseudo, (b":path", b"/%d" % number)]) for number in range(8)]
        wait_until(lambda: waiting_for_the_provider(here.live) == 8, "the requests do not wait")
        provider.may_answer.set()
        assert {client.response(stream).status for stream in streams} == {200}
    assert provider.count("/token") == 2, "one for the login, one for all eight"


def test_a_client_that_leaves_while_the_provider_is_asked(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(login_at(provider)))
    browser = Browser(here)
    back = browser.begin("/")
    provider.instead["/token"] = Answer(wait=True)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with connect(here.live.port) as wire:
        wire.send(f"GET {back.partition(HOST)[2]} HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookies}\r\n\r\n".encode())
        wait_until(lambda: provider.count("/token") == 1, "the provider was not asked")
    assert here.live.record(2).status == 460


# Bearer tokens


def bearer(site: Site, token: str) -> int:
    return Browser(site).get("/", Authorization=f"Bearer {token}").status_code


def test_a_good_token_goes_on_unchanged_and_keys_are_fetched_once(
    provider: OidcProvider, site: Callable[..., Site]
) -> None:
    here = site(rule(jwt_at(provider)))
    token = sign(provider.claims())
    assert [bearer(here, token) for _ in range(3)] == [200] * 3
    assert here.last().value("authorization") == f"Bearer {token}".encode()
    assert provider.count("/jwks") == 1
    assert bearer(here, sign(provider.claims(), kid="made up")) == 401
    assert provider.count("/jwks") == 1, "no key id makes the gateway ask again so soon"


NOW = time.time()
TOKENS: dict[str, tuple[Callable[[OidcProvider], str], str]] = {
    "one part": (lambda p: "x", "JWTRequestFormatInvalid"),
    "two parts": (lambda p: "a.b", "JWTRequestFormatInvalid"),
    "garbage": (lambda p: "a.b.c", "JWTRequestFormatInvalid"),
    "none": (lambda p: sign(p.claims(), alg="none"), "JWTRequestFormatInvalid"),
    "none, unsigned": (lambda p: sign(p.claims(), alg="none").rpartition(".")[0] + ".", "JWTRequestFormatInvalid"),
    "HS256": (lambda p: sign(p.claims(), alg="HS256"), "JWTRequestFormatInvalid"),
    "RS384": (lambda p: sign(p.claims(), alg="RS384"), "JWTRequestFormatInvalid"),
    "crit": (lambda p: sign(p.claims(), crit=["x"], x=1), "JWTRequestFormatInvalid"),
    "payload is a list": (lambda p: sign(b"[]"), "JWTRequestFormatInvalid"),
    "deep payload": (lambda p: sign(b"[" * 8000), "JWTRequestFormatInvalid"),
    "signed by another": (lambda p: sign(p.claims(), by="second"), "JWTSignatureValidationError"),
    "cut signature": (lambda p: sign(p.claims())[:-8], "JWTSignatureValidationError"),
    "unknown kid": (lambda p: sign(p.claims(), kid="x"), "JWTSignatureValidationError"),
    "expired": (lambda p: sign(p.claims(exp=NOW - 1)), "JWTClaimValueInvalid"),
    "no exp": (lambda p: sign(p.claims(exp=None)), "JWTClaimNotPresent"),
    "exp is a text": (lambda p: sign(p.claims(exp="9999999999")), "JWTClaimFormatInvalid"),
    "exp is true": (lambda p: sign(p.claims(exp=True)), "JWTClaimFormatInvalid"),
    "exp is NaN": (lambda p: sign(p.claims(exp=float("nan"))), "JWTClaimFormatInvalid"),
    "exp is infinite": (lambda p: sign(p.claims(exp=float("inf"))), "JWTClaimFormatInvalid"),
    "no iss": (lambda p: sign(p.claims(iss=None)), "JWTClaimNotPresent"),
    "another iss": (lambda p: sign(p.claims(iss="https://evil")), "JWTClaimValueInvalid"),
    "not yet": (lambda p: sign(p.claims(nbf=NOW + 600)), "JWTClaimValueInvalid"),
    "issued in the future": (lambda p: sign(p.claims(iat=NOW + 600)), "JWTClaimValueInvalid"),
}


@pytest.mark.parametrize(("token", "reason"), TOKENS.values(), ids=TOKENS)
def test_a_bad_token(provider: OidcProvider, site: Callable[..., Site], token: Any, reason: str) -> None:
    here = site(rule(jwt_at(provider)))
    assert bearer(here, token(provider)) == 401
    assert here.live.record().reason == reason
    assert here.target.requests == []


def test_a_request_without_a_token(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(jwt_at(provider)))
    assert Browser(here).get("/").status_code == 401
    assert Browser(here).get("/", Authorization="Basic YTpi").status_code == 401
    assert {record.reason for record in here.live.records.all} == {"JWTHeaderNotPresent"}


BAD_KEYS: dict[str, tuple[Answer, str]] = {
    "500": (Answer(500), "JWKSRequestFailed"),
    "redirect": (Answer(301), "JWKSRequestFailed"),
    "slow": (Answer(wait=True), "JWKSRequestTimeout"),
    "over 150 K": (Answer(200, b" " * 160_000), "JWKSResponseSizeExceeded"),
    "over 10 keys": (Answer(200, {"keys": [{"kty": "EC"}] * 11}), "JWKSKeyCountExceeded"),
    "garbage": (Answer(200, b"<html>"), "JWKSResponseInvalid"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_keys_that_cannot_be_had(
    provider: OidcProvider, site: Callable[..., Site], answer: Answer, reason: str
) -> None:
    here = site(rule(jwt_at(provider)))
    here.timeout(0.3 if answer.wait else 5.0)
    provider.instead["/jwks"] = answer
    assert bearer(here, sign(provider.claims())) == 562
    assert here.live.record().reason == reason


def test_keys_that_cannot_have_signed_are_passed_over(provider: OidcProvider, site: Callable[..., Site]) -> None:
    here = site(rule(jwt_at(provider)))
    provider.keys = [
        None,
        {"kty": "oct", "kid": "first", "k": "AAAA"},
        jwk(use="enc"),
        jwk(alg="RS512"),
        jwk(n="AQAB"),
        jwk("second"),
    ]
    assert bearer(here, sign(provider.claims())) == 401
    assert bearer(here, sign(provider.claims(), kid="second", by="second")) == 200
    assert bearer(here, sign(provider.claims(), kid=None, by="second")) == 200, "the only key needs no name"


# The product


def test_logins_as_a_user_runs_it(
    provider: OidcProvider, target: Callable[..., ScriptedTarget], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authority.issue("site", HOST)
    backend = target()
    table = f"""
version: 1
listeners:
  - port: PORT
    protocol: HTTPS
    certificates: [{{certificate_file: site.pem, private_key_file: site.key}}]
    default: {{forward: targets}}
    rules:
      - priority: 1
        conditions: [{{path-pattern: /private/*}}]
        authenticate-oidc:
          issuer: {provider.url}
          authorization_endpoint: {provider.url}/authorize
          token_endpoint: {provider.url}/token
          user_info_endpoint: {provider.url}/userinfo
          client_id: {CLIENT_ID}
          client_secret: ${{SECRET}}
        forward: targets
target_groups:
  targets: {{targets: ["http://127.0.0.1:{backend.port}"], health_check: {{enabled: false}}}}
"""
    with serving(tmp_path, table, "--workers", "2", environment={"SECRET": CLIENT_SECRET}) as served:
        authority_file = str(authority.file)
        context = ssl.create_default_context(cafile=authority_file)

        def get(url: str, cookies: dict[str, str]) -> httpx.Response:
            url = url.replace(f"https://{HOST}", f"https://127.0.0.1:{served.port}")
            headers = {"Host": HOST, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            with httpx.Client(verify=context, trust_env=False) as client:
                response = client.get(url, headers=headers, extensions={"sni_hostname": HOST})
            for line in response.headers.get_list("set-cookie"):
                name, _, value = line.partition(";")[0].partition("=")
                cookies[name] = value
            return response

        for _ in range(4):
            cookies: dict[str, str] = {}
            first = get(f"https://{HOST}/private/x", cookies)
            back = httpx.get(first.headers["location"], trust_env=False).headers["location"]
            end = get(back, cookies)
            assert end.headers["location"] == f"https://{HOST}/private/x"
            assert get(end.headers["location"], cookies).status_code == 200
        data = backend.requests[-1].value("x-amzn-oidc-data") or b""
        kid = json.loads(base64.urlsafe_b64decode(data.split(b".")[0]))["kid"]
        key = served.admin.get(f"/api/oidc-public-keys/{kid}")
        assert key.text.startswith("-----BEGIN PUBLIC KEY-----")
        assert served.admin.get("/api/oidc-public-keys/other").status_code == 404
        assert served.metric("strangler_auth_success_total", action="authenticate-oidc") == 4
        assert CLIENT_SECRET not in served.log.read_text()
