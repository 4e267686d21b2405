"""A request that somebody asks about, on the command line or at the admin port; it is explained and never sent."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from proxy.config.model import ListenerConfig
from proxy.rules.request import RequestView

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 5.6.2: methods and header names."""
_URL = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r":([0-9]{1,5})$")
_BLANK_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_NEVER_IN_A_LINE = re.compile(r"[\r\n\0]")

Field = Literal["method", "url", "target", "header", "source_ip", "listener"]


class QuestionError(ValueError):
    """This is no request that a client could send. `field` says which part of the question is wrong."""

    def __init__(self, field: Field, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Question:
    """A request to a listener. All text has one character for each byte, as a request line has them."""

    listener: ListenerConfig
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    source_ip: str

    def view(self) -> RequestView:
        """The request as the rules would see it."""
        listener = self.listener
        scheme: Literal["http", "https"] = "https" if listener.protocol == "HTTPS" else "http"
        return RequestView.of(
            self.method, self.target, list(self.headers), peer=self.source_ip, scheme=scheme, port=listener.port
        )


def read_question(
    listeners: Sequence[ListenerConfig],
    *,
    method: str,
    url: str,
    target: str | None = None,
    headers: Iterable[str] = (),
    source_ip: str = "127.0.0.1",
    listener: str | None = None,
) -> Question:
    """Take a question apart; raise `QuestionError`.

    Args:
        listeners: Those of the table.
        url: `http://host/path?query` or `/path?query`. Path and query stay as written; a fragment is cut off, since no
            client sends it. The host becomes the Host header unless `headers` have one.
        target: The raw request target, where a URL cannot express it.
        headers: Lines `Name: value`, in order.
        source_ip: The address that `source-ip` conditions see.
        listener: Its name; else the URL's port chooses.
    """
    if not _TOKEN.fullmatch(method):
        raise QuestionError("method", f"{method!r} is not a method such as GET")
    scheme, authority, in_url = _take_apart(url)
    raw_target = in_url if target is None else _as_sent(target, "target", _NEVER_IN_A_LINE)
    lines = [_header(line) for line in headers]
    if authority and not any(name.lower() == "host" for name, _ in lines):
        lines.insert(0, ("Host", authority))
    try:
        address = str(ipaddress.ip_address(source_ip))
    except ValueError:
        raise QuestionError("source_ip", f"{source_ip!r} is not an IP address") from None
    chosen = _choose(listeners, listener, _port(scheme, authority))
    return Question(chosen, method, raw_target, tuple(lines), address)


def _take_apart(url: str) -> tuple[str, str, str]:
    """Scheme, authority (both empty for a bare path) and request target."""
    absolute = _URL.fullmatch(url)
    if absolute is not None:
        scheme, authority, rest = absolute.groups()
        if not authority or "@" in authority:
            raise QuestionError("url", f"{url!r} needs a host, without user and password")
    elif url.startswith("/"):
        scheme, authority, rest = "", "", url
    else:
        raise QuestionError("url", f"{url!r} is neither http://host/path nor /path; other forms go as a raw target")
    target = rest.partition("#")[0]
    if not target.startswith("/"):
        target = "/" + target
    sent_authority = _as_sent(authority, "url", _BLANK_OR_CONTROL)
    return scheme.lower(), sent_authority, _as_sent(target, "url", _BLANK_OR_CONTROL)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        raise QuestionError("header", f"{line!r} is not 'Name: value'")
    return name, _as_sent(value.strip(" \t"), "header", _NEVER_IN_A_LINE)


def _as_sent(text: str, field: Field, forbidden: re.Pattern[str]) -> str:
    """The text's bytes, one character each."""
    if forbidden.search(text):
        what = "a line end or a NUL" if forbidden is _NEVER_IN_A_LINE else "a blank or a control character"
        raise QuestionError(field, f"{text!r} has {what}, which no request can have there: percent-encode it")
    # A terminal's bytes that are no UTF-8 arrive as surrogates.
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _port(scheme: str, authority: str) -> int | None:
    if not authority:
        return None
    found = _PORT.search(authority)
    if found is not None:
        return int(found[1])
    return 443 if scheme == "https" else 80


def _choose(listeners: Sequence[ListenerConfig], name: str | None, port: int | None) -> ListenerConfig:
    """The listener of this name, or of this port, or the only one."""
    known = ", ".join(f"{listener.name} (port {listener.port})" for listener in listeners)
    for listener in listeners:
        if listener.name == name or (name is None and (listener.port == port or len(listeners) == 1)):
            return listener
    if name is not None:
        raise QuestionError("listener", f"there is no listener {name!r}: there is {known}")
    raise QuestionError("listener", f"no listener has the URL's port: name one of {known}")
