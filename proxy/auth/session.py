"""The session of a user who has logged in, and the cookies that hold it (alb.md 3.4).

Everything is in the cookies, sealed: the gateway remembers nobody, so each worker knows each user, and a restart logs
nobody out as long as the key stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from proxy.auth.tokens import Claims, NotJsonError, json_object, number
from proxy.errors import ClaimsTooLargeError
from proxy.http1.cookies import EXPIRES_SECONDS, CookieReader, expiry, reader
from proxy.http1.sealed import Sealer

MAX_SHARDS: Final = 4
MAX_COOKIE_BYTES: Final = 4096
"""A cookie with its name and attributes, as browsers must take it (RFC 6265 6.1)."""
MAX_CLAIMS_BYTES: Final = 11 * 1024
"""Access token and user claims together."""
_ATTRIBUTE_BYTES: Final = 96


@dataclass(frozen=True, slots=True)
class Session:
    """A user who has logged in.

    Attributes:
        subject: The `sub` claim.
        claims: What the user info endpoint said.
        access_until: When the access token expires; None when the provider did not say.
        refresh_token: Empty without one.
        logged_in_at: In seconds since 1970; a refresh does not change it.
    """

    subject: str
    claims: Claims
    access_token: str
    access_until: float | None
    refresh_token: str
    logged_in_at: float

    @property
    def claims_text(self) -> bytes:
        return _json(self.claims)

    def to_bytes(self) -> bytes:
        return _json(
            [
                self.subject,
                self.claims,
                self.access_token,
                self.access_until,
                self.refresh_token,
                self.logged_in_at,
            ]
        )

    @classmethod
    def from_bytes(cls, text: bytes) -> Session | None:
        """What `to_bytes` wrote; None if an older release wrote it in another way."""
        try:
            fields = json_object(b'{"fields":%s}' % text)["fields"]
            subject, claims, access_token, access_until, refresh_token, logged_in_at = fields
        except (NotJsonError, ValueError, TypeError):
            return None
        began = number(logged_in_at)
        if began is None or not isinstance(claims, dict):
            return None
        return cls(str(subject), claims, str(access_token), number(access_until), str(refresh_token), began)

    def needs_refresh(self, now: float) -> bool:
        """Whether the access token has expired and another can be had."""
        return bool(self.refresh_token) and self.access_until is not None and self.access_until <= now


class SessionCookies:
    """The cookies of one login action.

    Args:
        name: Of the cookies, without `-0`.
        purpose: What else tells this action's sessions from others': provider and client.
    """

    __slots__ = ("_names", "_purpose", "_readers", "_room")

    def __init__(self, name: str, purpose: bytes) -> None:
        self._names = [f"{name}-{shard}".encode() for shard in range(MAX_SHARDS)]
        self._readers: list[CookieReader] = [reader(each) for each in self._names]
        self._purpose = b"auth session\0" + name.encode() + b"\0" + purpose
        self._room = MAX_COOKIE_BYTES - _ATTRIBUTE_BYTES - len(self._names[0]) - 1

    def are_in(self, lines: list[bytes]) -> bool:
        """Whether a request brings any, good or bad."""
        return any(read(lines) for read in self._readers)

    def read(self, lines: list[bytes], sealer: Sealer, now: float) -> Session | None:
        """The session in the Cookie lines of a request; None when there is none, or it is not ours or too old.

        Values must come as they were sent: a URL-encoded one is refused (alb.md 3.4).
        """
        sealed = b""
        for read in self._readers:
            values = read(lines)
            if not values:
                break
            sealed += values[0]
        if not sealed:
            return None
        text = sealer.unseal(self._purpose, sealed, now=now)
        return None if text is None else Session.from_bytes(text)

    def write(
        self, session: Session, sealer: Sealer, now: float, *, held: list[bytes], cross_site: bool
    ) -> list[bytes]:
        """`Set-Cookie` values for a session; shards that the client has from a longer one are removed.

        Args:
            held: The Cookie lines of the request.
            cross_site: For a CORS request: the cookies get `SameSite=None` (alb.md 3.4).

        Raises:
            ClaimsTooLargeError: Access token and claims are over 11 K, or four shards cannot hold it all.
        """
        size = len(session.access_token) + len(session.claims_text)
        if size > MAX_CLAIMS_BYTES:
            raise _too_large(f"access token and claims have {size} bytes, {MAX_CLAIMS_BYTES} are allowed")
        # Expired sessions still have to be told from none, so the seal outlasts every session timeout.
        sealed = sealer.seal(self._purpose, session.to_bytes(), valid_until=now + 2 * EXPIRES_SECONDS)
        shards = [sealed[start : start + self._room] for start in range(0, len(sealed), self._room)]
        if len(shards) > MAX_SHARDS:
            raise _too_large(f"the session needs {len(shards)} cookies, {MAX_SHARDS} are allowed")
        expires = expiry(int(now) + EXPIRES_SECONDS)
        more = b"; SameSite=None" if cross_site else b""
        written = [
            b"%s=%s; Expires=%s; Path=/; Secure; HttpOnly%s" % (name, value, expires, more)
            for name, value in zip(self._names, shards, strict=False)
        ]
        return written + self._removed(self._names[len(shards) :], held)

    def _removed(self, names: Iterable[bytes], held: list[bytes]) -> list[bytes]:
        return [gone(name) for name in names if reader(name)(held)]


def gone(name: bytes) -> bytes:
    """The `Set-Cookie` value with which a client forgets this cookie."""
    return name + b"=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; Secure; HttpOnly"


def _too_large(detail: str) -> ClaimsTooLargeError:
    return ClaimsTooLargeError("AuthUserinfoResponseSizeExceeded", detail)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
