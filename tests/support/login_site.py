"""A site behind a login, and a browser that goes through it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from http2_peers import Http2Client
from live_gateway import Door, LiveGateway
from oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider
from scripted_target import ScriptedTarget
from wire import Message

from proxy.auth.authentication import Authentication
from proxy.auth.provider import Fetcher
from proxy.config.model import (
    AuthenticationConfig,
    ConditionConfig,
    ForwardConfig,
    JwtClaimConfig,
    JwtValidationConfig,
    LoginConfig,
    RuleConfig,
)
from proxy.http1.sealed import Sealer

KEY = b"the key of these tests, long enough"
HOST = "app.example.com"


def login_at(provider: OidcProvider, **changes: Any) -> LoginConfig:
    config = LoginConfig(
        type="authenticate-oidc",
        issuer=provider.url,
        authorization_endpoint=f"{provider.url}/authorize",
        token_endpoint=f"{provider.url}/token",
        user_info_endpoint=f"{provider.url}/userinfo",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
    )
    return replace(config, **changes)


def jwt_at(provider: OidcProvider, *claims: JwtClaimConfig) -> JwtValidationConfig:
    return JwtValidationConfig(provider.url, f"{provider.url}/jwks", claims)


def rule(authentication: AuthenticationConfig | None, path: str = "/*", priority: int = 5) -> RuleConfig:
    condition = ConditionConfig("path-pattern", (path,))
    return RuleConfig(path, priority, (condition,), ForwardConfig((("targets", 1),)), authentication=authentication)


class Site:
    """A gateway that asks who a client is, its target, and a clock that can be moved."""

    def __init__(self, live: LiveGateway, target: ScriptedTarget, door: Door = "listener") -> None:
        self.live = live
        self.target = target
        self.door = door
        self.ahead = 0.0
        self.timeout(30.0)

    def timeout(self, seconds: float) -> None:
        """Start anew, as another process with the same key would."""
        self.live.gateway.authentication = Authentication(
            Sealer(KEY),
            self.live.gateway.metrics,
            clock=lambda: time.time() + self.ahead,
            fetcher=Fetcher(timeout_seconds=seconds),
        )

    def last(self) -> Message:
        return self.target.requests[-1]


class Browser:
    """Keeps cookies, also over plain HTTP, and follows no redirect by itself."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    def get(self, url: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask the site for a path, or for the path of one of its URLs."""
        parts = urlsplit(url)
        path = url if not parts.scheme else parts.path + (f"?{parts.query}" if parts.query else "")
        response = self._send(method, path, {"Host": HOST, **headers})
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            assert "; Secure; HttpOnly" in line
            assert len(line) <= 4096
            if "1970" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return response

    def _send(self, method: str, path: str, lines: dict[str, str]) -> httpx.Response:
        if self.site.door == "http2":
            return self._send_http2(method, path, lines)
        if self.cookies:
            lines = {**lines, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        with httpx.Client(trust_env=False, timeout=15) as client:
            return client.request(method, f"http://127.0.0.1:{self.site.live.port}{path}", headers=lines)

    def _send_http2(self, method: str, path: str, lines: dict[str, str]) -> httpx.Response:
        """Over HTTP/2, each cookie in a field of its own, as browsers do (RFC 9113 8.2.3)."""
        fields = [(name.lower(), value) for name, value in lines.items() if name != "Host"]
        fields += [("cookie", f"{name}={value}") for name, value in self.cookies.items()]
        pseudo = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", lines["Host"].encode())]
        with Http2Client(self.site.live.port) as client:
            stream = client.begin(headers=fields, pseudo=[*pseudo, (b":path", path.encode())])
            message = client.response(stream)
        headers = [(name, value) for name, value in message.headers if not name.startswith(b":")]
        return httpx.Response(message.status, headers=headers, content=message.body)

    def begin(self, path: str = "/") -> str:
        """Ask for a page; return where the provider sends the browser after the login."""
        response = self.get(path)
        assert response.status_code == 302, response.text
        return httpx.get(response.headers["location"], trust_env=False).headers["location"]

    def log_in(self, path: str = "/") -> httpx.Response:
        """The whole login; return the answer to the callback."""
        return self.get(self.begin(path))
