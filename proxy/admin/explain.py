"""A question to `/api/explain` taken apart, by the same reading of URLs as the command line's."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from proxy.admin.control import RuntimeView
from proxy.admin.models import ExplainQuestion

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 5.6.2: methods and header names."""

_URL = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class ExplainedRequest:
    """The arguments of `GatewayControl.explain`."""

    listener: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    source_ip: str


def read_question(question: ExplainQuestion, runtime: RuntimeView) -> ExplainedRequest:
    """Raise ValueError, naming the field and a remedy, if this is no request that a client could send.

    The URL's host becomes the Host header unless one is given. Path and query stay as written; a fragment is
    cut off, since no client sends it.
    """
    if not _TOKEN.fullmatch(question.method):
        raise ValueError(f"method: {question.method!r} is not a method; one like GET is meant")
    scheme, authority, target = _take_apart(question.url)
    if question.target is not None:
        target = question.target
        if not _VISIBLE.fullmatch(target):
            raise ValueError(f"target: {target!r} has a space or a non-ASCII character; percent-encode it")
    headers = [_header(line) for line in question.header]
    if authority and not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", authority))
    try:
        source_ip = str(ipaddress.ip_address(question.source_ip))
    except ValueError:
        raise ValueError(f"source_ip: {question.source_ip!r} is not an IP address") from None
    port = _port(scheme, authority)
    listener = _choose_listener(question.listener, port, runtime)
    return ExplainedRequest(listener, question.method, target, tuple(headers), source_ip)


def _take_apart(url: str) -> tuple[str, str, str]:
    """Return scheme, authority (both empty for a bare path) and the request target."""
    absolute = _URL.fullmatch(url)
    if absolute:
        scheme, authority, rest = absolute.groups()
        if not authority or "@" in authority:
            raise ValueError(f"url: {url!r} needs a host, without user and password")
    elif url.startswith("/"):
        scheme, authority, rest = "", "", url
    else:
        raise ValueError(f"url: {url!r} is neither http://host/path nor /path")
    target = rest.partition("#")[0]
    if not target.startswith("/"):
        target = "/" + target
    if not _VISIBLE.fullmatch(authority + target):
        raise ValueError(f"url: {url!r} has a space or a non-ASCII character; percent-encode it")
    return scheme.lower(), authority, target


def _port(scheme: str, authority: str) -> int | None:
    if not authority:
        return None
    port = re.search(r":(\d+)$", authority)
    if port:
        return int(port[1])
    return 443 if scheme == "https" else 80


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    value = value.strip(" \t")
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError(f"header: {line!r} is not `Name: value`")
    if any(ord(character) > 255 or character in "\r\n\0" for character in value):
        raise ValueError(f"header: the value of {name} has a line end, a NUL or a character outside latin-1")
    return name, value


def _choose_listener(name: str | None, port: int | None, runtime: RuntimeView) -> str:
    listeners = runtime.listeners
    known = ", ".join(listeners)
    if name is not None:
        if name not in listeners:
            raise ValueError(f"listener: there is no listener {name!r}; there is {known}")
        return name
    if len(listeners) == 1:
        return next(iter(listeners))
    for candidate, listener in listeners.items():
        if listener.config.port == port:
            return candidate
    raise ValueError(f"listener: no listener has the URL's port; name one of {known}")
