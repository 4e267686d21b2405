"""What ties the identity provider's answer to the request that began the login (alb.md 3.4).

The `state` parameter is sealed and holds where the user wanted to go; the nonce cookie holds a secret of the browser
that is in the state, too. So an answer counts only in the browser that asked, for the client that asked, on the host
that was asked, and within 15 minutes. The cookie is taken away when it has served.
"""

from __future__ import annotations

import hmac
import json
import os
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from proxy.auth.session import gone
from proxy.auth.tokens import NotJsonError, json_object
from proxy.errors import LoginFailedError
from proxy.http1.cookies import expiry, reader
from proxy.http1.sealed import Sealer

LOGIN_SECONDS: Final = 15 * 60
NONCE_COOKIE: Final = b"AWSALBAuthNonce"

_NONCE_PURPOSE: Final = b"auth nonce"
_STATE_PURPOSE: Final = b"auth state\0"
_read_nonce = reader(NONCE_COOKIE)


@dataclass(frozen=True, slots=True)
class State:
    """A login that has begun.

    Attributes:
        host: The Host it began on, in lower case, with a port if the client gave one.
        uri: Path and query to return to, ASCII.
        nonce: The browser's secret.
    """

    host: str
    uri: str
    nonce: str

    @property
    def public_nonce(self) -> str:
        """The `nonce` parameter that comes back in the ID token; it does not tell the secret."""
        return urlsafe_b64encode(sha256(self.nonce.encode()).digest()).rstrip(b"=").decode()

    def sealed(self, sealer: Sealer, client: bytes, now: float) -> str:
        """The `state` parameter. `client` says which login action it is for."""
        text = json.dumps([self.host, self.uri, self.nonce]).encode()
        return sealer.seal(_STATE_PURPOSE + client, text, valid_until=now + LOGIN_SECONDS).decode()


def unsealed(state: bytes, sealer: Sealer, client: bytes, now: float) -> State | None:
    """The state that this parameter holds; None if it is not for this client, or older than 15 minutes."""
    text = sealer.unseal(_STATE_PURPOSE + client, state, now=now)
    if text is None:
        return None
    try:
        host, uri, nonce = json_object(b'{"fields":%s}' % text)["fields"]
    except (NotJsonError, ValueError, TypeError):
        return None
    return State(str(host), str(uri), str(nonce))


def nonce_of(lines: list[bytes], sealer: Sealer, now: float) -> str:
    """The nonce that the browser has, so that logins in several tabs do not undo each other; else a new one."""
    for value in _read_nonce(lines):
        nonce = sealer.unseal(_NONCE_PURPOSE, value, now=now)
        if nonce is not None:
            return nonce.decode("ascii", "replace")
    return urlsafe_b64encode(os.urandom(24)).decode()


def nonce_cookie(nonce: str, sealer: Sealer, now: float) -> bytes:
    """The `Set-Cookie` value of the nonce."""
    value = sealer.seal(_NONCE_PURPOSE, nonce.encode(), valid_until=now + LOGIN_SECONDS)
    expires = expiry(int(now) + LOGIN_SECONDS)
    return b"%s=%s; Expires=%s; Path=/; Secure; HttpOnly" % (NONCE_COOKIE, value, expires)


def check_nonce(state: State, lines: list[bytes], sealer: Sealer, now: float) -> None:
    """Make sure that the login began in this browser.

    Raises:
        LoginFailedError: AuthMissingAWSALBAuthNonce or AuthInvalidAWSALBAuthNonce.
    """
    values = _read_nonce(lines)
    if not values:
        raise LoginFailedError("AuthMissingAWSALBAuthNonce", "the login did not begin in this browser, or is over")
    for value in values:
        nonce = sealer.unseal(_NONCE_PURPOSE, value, now=now)
        if nonce is not None and hmac.compare_digest(nonce, state.nonce.encode()):
            return
    raise LoginFailedError("AuthInvalidAWSALBAuthNonce", "the nonce cookie is not that of this login")


NONCE_GONE: Final = gone(NONCE_COOKIE)
