"""Caddy: one route per rule, tried in order."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.peers.peer import Site, output_of
from bench.processes import BenchError
from bench.table import DEFAULT_GROUP, Rule


class Caddy:
    name: ClassVar[str] = "caddy"
    file_name: ClassVar[str] = "caddy.json"
    counts: ClassVar[str] = "duration and size histograms per server and handler; none per route"
    decides: ClassVar[bool] = True

    def missing(self) -> str | None:
        return None if shutil.which("caddy") else "caddy is not installed: sh bench/install.sh"

    def version(self) -> str:
        return output_of("caddy", "version").split()[0].removeprefix("v")

    def configuration(self, site: Site) -> str:
        if site.access_log or site.tls or site.workers > 1:
            raise BenchError("written for one worker without TLS and access log")
        routes = [_route(_match(rule), rule.group, site) for rule in site.table.rules]
        server = {
            "listen": [f"127.0.0.1:{site.port}"],
            "routes": [*routes, _route(None, DEFAULT_GROUP, site)],
            "automatic_https": {"disable": True},
            "metrics": {},
        }
        document = {
            "admin": {"disabled": True},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": {"web": server}}},
        }
        return json.dumps(document, indent=1)

    def command(self, file: Path, site: Site) -> Sequence[str]:
        return ["caddy", "run", "--config", str(file)]

    def check_command(self, file: Path) -> Sequence[str]:
        return ["caddy", "validate", "--config", str(file)]

    def environment(self) -> Mapping[str, str]:
        return {"GOMAXPROCS": "1", "XDG_CONFIG_HOME": "/tmp", "XDG_DATA_HOME": "/tmp"}


def _route(match: dict[str, Any] | None, group: str, site: Site) -> dict[str, Any]:
    proxy = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{site.target_ports[group]}"}],
        "transport": {"protocol": "http", "keep_alive": {"max_idle_conns_per_host": 256}},
        "headers": {
            "request": {
                "set": {"X-Forwarded-Port": [str(site.port)], "X-Request-Id": ["{http.request.uuid}"]},
            }
        },
    }
    route: dict[str, Any] = {"handle": [proxy], "terminal": True}
    return route if match is None else {"match": [match], **route}


def _match(rule: Rule) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if rule.host is not None:
        match["host"] = [rule.host]
    if rule.path_regex:
        match["path_regexp"] = {"pattern": rule.path_regex}
    elif rule.path is not None:
        match["path"] = [rule.path]
    if rule.method is not None:
        match["method"] = [rule.method]
    if rule.header is not None:
        match["header"] = {rule.header[0]: [rule.header[1]]}
    if rule.query is not None:
        match["query"] = {rule.query[0]: [rule.query[1]]}
    return match
