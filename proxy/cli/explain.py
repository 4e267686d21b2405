"""`strangler explain METHOD URL`: which rule takes this request, and why each earlier one does not. Sends nothing."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import sys
from typing import Any, Literal

from proxy.cli.files import read_table
from proxy.cli.flags import UsageError
from proxy.cli.problems import render, summary
from proxy.cli.terminal import Paint, columns, visible
from proxy.config.load import load
from proxy.config.model import Config, ListenerConfig
from proxy.config.problem import ConfigError
from proxy.errors import GatewayError

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r":([0-9]{1,5})$")
_NEVER_IN_A_LINE = re.compile(r"[\r\n\0]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("url", metavar="URL", help="path and query are taken as written, nothing is normalised")
    parser.add_argument("--config", metavar="FILE", default="routes.yaml", help="the table")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", help="a request header; may come several times"
    )
    parser.add_argument("--source-ip", metavar="IP", default="127.0.0.1", help="the client's address")
    parser.add_argument("--listener", metavar="NAME", help="the listener; else the URL's port chooses")
    parser.add_argument("--target", metavar="RAW", help="the request target, where a URL cannot express it")


def run(args: argparse.Namespace) -> int:
    method, headers, source_ip = _method(args.method), list(map(_header, args.header or [])), _ip(args.source_ip)
    scheme, authority, target = take_apart(args.url)
    if args.target is not None:
        target = _raw(args.target, "--target")
    if authority and not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", authority))
    config = _config(args.config)
    listener = choose_listener(config, args.listener, _port(scheme, authority))
    try:
        document = _explain(config, listener, method, target, headers, source_ip)
    except GatewayError as error:
        raise UsageError(f"the gateway answers {error.status}, no rule decides: {error}") from None
    print(json.dumps(document, indent=2) if args.json else render_document(document, method, Paint()))
    return 0


def take_apart(url: str) -> tuple[str, str, str]:
    """Return scheme, authority (both empty for a bare path) and the request target, each as written."""
    absolute = _URL.fullmatch(url)
    if absolute is not None:
        scheme, authority, rest = absolute.groups()
        if not authority or "@" in authority:
            raise UsageError(f"URL {url!r} needs a host, without user and password")
    elif url.startswith("/"):
        scheme, authority, rest = "", "", url
    else:
        raise UsageError(f"URL {url!r} is neither http://host/path nor /path; see --target for other forms")
    target = rest.partition("#")[0]
    if not target.startswith("/"):
        target = "/" + target
    if re.search(r"[\x00-\x20\x7f]", authority + target):
        raise UsageError(f"URL {url!r} has a blank or a control character: percent-encode it")
    return scheme.lower(), _raw(authority, "URL"), _raw(target, "URL")


def choose_listener(config: Config, name: str | None, port: int | None) -> ListenerConfig:
    """The listener of this name, or of this port, or the only one."""
    known = ", ".join(f"{listener.name} (port {listener.port})" for listener in config.listeners)
    if name is not None:
        found = [listener for listener in config.listeners if listener.name == name]
        if not found:
            raise UsageError(f"there is no listener {name!r}: there is {known}")
    elif len(config.listeners) == 1:
        found = list(config.listeners)
    else:
        found = [listener for listener in config.listeners if listener.port == port]
        if not found:
            raise UsageError(f"no listener has the URL's port: choose one with --listener: {known}")
    return found[0]


def render_document(document: dict[str, Any], method: str, paint: Paint) -> str:
    """The answer for people."""
    rule = document["rule"]
    priority = "" if rule["priority"] is None else f" (priority {rule['priority']})"
    facts = [
        ("listener", document["listener"]),
        ("rule", f"{rule['name']}{priority}"),
        ("action", document["action"]),
    ]
    weights: dict[str, int] = document["target_groups"]
    total = sum(weights.values())
    for name, weight in weights.items():
        share = f"{100 * weight / total:.4g} %" if total else "no group can be chosen: 503"
        facts.append(("target group", f"{name}, weight {weight} ({share})"))
    if redirect := document["redirect"]:
        facts.append(("redirect", f"{redirect['status']} to {redirect['location']}"))
    if fixed := document["fixed_response"]:
        facts.append(("response", f"{fixed['status']} {fixed['content_type']} {fixed['body']}".rstrip()))
    if forwarded := document["forwarded"]:
        facts.append(("target gets", f"{method} {forwarded['target']} with Host: {forwarded['host']}"))
    tried = [_tried(one) for one in document["tried"]]
    lines = [*columns([(name, visible(value)) for name, value in facts]), "", paint("rules tried", "bold")]
    for one, line in zip(document["tried"], columns(tried), strict=True):
        lines.append(paint(line, "green") if one["matched"] else line)
    return "\n".join(lines)


def _tried(one: dict[str, Any]) -> tuple[str, str, str]:
    priority = "-" if one["priority"] is None else str(one["priority"])
    refused = one["refused_by"]
    if refused is None:
        return priority, visible(one["name"]), "matches"
    saw = refused["saw"]
    seen = "saw nothing" if saw in (None, "") else f"saw {visible(str(saw))}"
    return priority, visible(one["name"]), f"refused by {refused['condition']}: {seen}"


def _explain(
    config: Config,
    listener: ListenerConfig,
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    source_ip: str,
) -> dict[str, Any]:
    # Imported late: a usage error need not wait for the rules to load.
    from proxy.forward.headers import host_to_target
    from proxy.rules.explain import explain
    from proxy.rules.request import RequestView
    from proxy.rules.table import compile_table

    scheme: Literal["http", "https"] = "https" if listener.protocol == "HTTPS" else "http"
    view = RequestView.of(method, target, headers, peer=source_ip, scheme=scheme, port=listener.port)
    forwarded_host = host_to_target(view, config.attributes)
    return explain(listener, compile_table(listener), view, forwarded_host=forwarded_host)


def _config(file: str) -> Config:
    content = read_table(file)
    try:
        return load(content, os.environ, file)
    except ConfigError as error:
        text = content.decode("utf-8", "replace")
        print(render(error.problems, file, text, Paint(sys.stderr)), end="", file=sys.stderr)
        raise UsageError(summary(error.problems, file)) from None


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise UsageError(f"METHOD {text!r} is not a method such as GET")
    return text


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        raise UsageError(f"header {line!r} is not 'Name: value'")
    return name, _raw(value.strip(" \t"), f"header {name}")


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(f"--source-ip {text!r} is not an IP address") from None


def _raw(text: str, what: str) -> str:
    """The bytes that were typed, one character each, as a request line has them."""
    if _NEVER_IN_A_LINE.search(text):
        raise UsageError(f"{what} has a line end or a NUL, which no request can have there")
    return os.fsencode(text).decode("latin-1")


def _port(scheme: str, authority: str) -> int | None:
    if not authority:
        return None
    found = _PORT.search(authority)
    if found is not None:
        return int(found[1])
    return 443 if scheme == "https" else 80
