"""A small OpenID Connect provider on loopback that can misbehave in every way."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

CLIENT_ID = "the client"
CLIENT_SECRET = "s3cret:/+"
_KEYS: dict[str, rsa.RSAPrivateKey] = {}


def key(name: str = "first") -> rsa.RSAPrivateKey:
    """An RSA key by name, made once a run."""
    if name not in _KEYS:
        _KEYS[name] = rsa.generate_private_key(65537, 2048)
    return _KEYS[name]


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims: Any, *, kid: str | None = "first", by: str = "first", **header: Any) -> str:
    """A token signed with RS256, whatever its header says."""
    head = {"alg": "RS256", "kid": kid, **header}
    head = {name: value for name, value in head.items() if value is not None}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{b64url(json.dumps(head).encode())}.{b64url(payload)}"
    return f"{signed}.{b64url(key(by).sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def jwk(name: str = "first", **more: Any) -> dict[str, Any]:
    numbers = key(name).public_key().public_numbers()
    modulus = numbers.n.to_bytes(256, "big")
    return {"kty": "RSA", "kid": name, "use": "sig", "n": b64url(modulus), "e": "AQAB", **more}


class Answer:
    """What an endpoint gives instead of its usual answer; `wait` holds it back until the provider closes."""

    def __init__(self, status: int = 200, body: Any = b"", *, wait: bool = False) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.wait = wait


class OidcProvider:
    """Authorization, token, user info and JWKS endpoints.

    Attributes:
        instead: Path to what is answered instead.
        id_token, tokens, user_info: What to change in the usual answers; None takes a member away.
        asked: Every request as (path, form or query, headers).
        may_answer: While it is cleared, the token endpoint waits.
        has_form: Users see a page with a button; without it they are logged in at once.
    """

    def __init__(self) -> None:
        self.instead: dict[str, Answer] = {}
        self.id_token: dict[str, Any] = {}
        self.id_token_header: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.user_info: dict[str, Any] = {}
        self.keys: list[Any] = [jwk()]
        self.has_form = False
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh_tokens: set[str] = set()
        self.closing = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.closing.set()
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, path: str) -> int:
        return sum(asked[0] == path for asked in self.asked)

    def claims(self, **changes: Any) -> dict[str, Any]:
        return _changed({"iss": self.url, "sub": "user-1", "exp": int(time.time()) + 600}, changes)

    # Endpoints

    def authorize(self, query: dict[str, str]) -> str:
        """Log the user in at once; return where the browser is sent."""
        code = secrets.token_hex(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str]) -> Answer:
        answer: dict[str, Any] = {"access_token": f"access-{secrets.token_hex(4)}", "token_type": "Bearer"}
        answer |= {"expires_in": 300, "refresh_token": f"refresh-{secrets.token_hex(8)}"}
        claims = {**self.claims(), "aud": CLIENT_ID}
        if form.get("grant_type") == "authorization_code":
            began = self.codes.pop(form.get("code", ""), None)
            if began is None or began["redirect_uri"] != form.get("redirect_uri"):
                return Answer(400, {"error": "invalid_grant"})
            claims["nonce"] = began["nonce"]
        elif form.get("refresh_token") in self.refresh_tokens:
            self.refresh_tokens.remove(form["refresh_token"])
        else:
            return Answer(400, {"error": "invalid_grant"})
        answer["id_token"] = sign(_changed(claims, self.id_token), **self.id_token_header)
        answer = _changed(answer, self.tokens)
        self.refresh_tokens.add(answer.get("refresh_token", ""))
        return Answer(200, answer)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(_first(urlsplit(self.path).query))

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self._answer(_first(self.rfile.read(length).decode()))

            def _answer(self, fields: dict[str, str]) -> None:
                path = urlsplit(self.path).path
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.asked.append((path, fields, headers))
                answer = provider.instead.get(path)
                if answer is None and path == "/authorize" and provider.has_form and "user" not in fields:
                    answer = Answer(200, _form(fields).encode())
                elif answer is None and path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(fields))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if answer is None:
                    if path == "/token":
                        provider.may_answer.wait(20)
                        answer = provider.token(fields)
                    elif path == "/userinfo":
                        answer = Answer(200, _changed({"sub": "user-1", "email": "u@example.com"}, provider.user_info))
                    elif path == "/jwks":
                        answer = Answer(200, {"keys": provider.keys})
                    else:
                        answer = Answer(404)
                if answer.wait:
                    provider.closing.wait(20)
                    return
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body)))
                self.send_header("Set-Cookie", "provider=leaks")
                self.end_headers()
                try:
                    self.wfile.write(answer.body)
                except OSError:
                    return

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _changed(value: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in {**value, **changes}.items() if each is not None}


def _form(query: dict[str, str]) -> str:
    """A login page that asks for a name and passes on what it was called with."""
    hidden = "".join(f'<input type=hidden name="{escape(name)}" value="{escape(query[name])}">' for name in query)
    form = f"<form action=/authorize>{hidden}<input name=user><button>Log in</button></form>"
    return f"<!doctype html><title>Log in</title>{form}"


def _first(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
