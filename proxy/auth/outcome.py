"""What an authentication action makes of a request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from proxy.auth.claims import HEADERS
from proxy.http1.head import Headers, list_items
from proxy.rules.actions import Reply
from proxy.rules.request import RequestView

_AS_SENT: Final = HEADERS | {b"authorization"}


@dataclass(frozen=True, slots=True)
class Passed:
    """The request goes on to the routing action.

    Attributes:
        headers: What the target gets besides.
        set_cookies: `Set-Cookie` values for the response, whoever gives it.
    """

    headers: tuple[tuple[bytes, bytes], ...] = ()
    set_cookies: tuple[bytes, ...] = ()

    def apply(self, view: RequestView) -> RequestView:
        """The request as it goes on: with these headers, and with none of their names from the client.

        A name with underscores is the same to many applications (CGI, WSGI), so it goes, too. Nor can the client's
        Connection header name one of them, which would take it away again on the way (RFC 9110 7.6.1).
        """
        headers: Headers = []
        for name, value in view.headers:
            folded = name.lower().replace(b"_", b"-")
            if folded in HEADERS:
                continue
            if folded == b"connection":
                value = b", ".join(item for item in list_items(value) if item not in _AS_SENT)
            headers.append((name, value))
        headers += self.headers
        fields = {name.lower(): value for name, value in headers}
        return RequestView(view.method, view.target, headers, fields, view.peer, view.scheme, view.port)


UNTOUCHED: Final = Passed()
"""The rule has no authentication, and the request is not the end of a login either."""

Outcome = Passed | Reply
Later = Callable[[], Coroutine[Any, Any, Outcome]]
"""What has to be asked of an identity provider first; nothing is begun before it is called."""
