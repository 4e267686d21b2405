"""HAProxy: one `use_backend` line per rule, tried in order; a backend per rule, which it counts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench.peers.peer import Site, output_of
from bench.table import DEFAULT_GROUP, Rule

_HEAD = """\
global
    nbthread {workers}
    maxconn {connections}
{log}defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    option forwardfor
    option http-keep-alive
{log_format}frontend web
    bind 127.0.0.1:{port}{tls}
    unique-id-format %{{+X}}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Proto {protocol}
    http-request set-header X-Forwarded-Port %[dst_port]
"""


class HAProxy:
    name: ClassVar[str] = "haproxy"
    file_name: ClassVar[str] = "haproxy.cfg"
    counts: ClassVar[str] = "requests, codes, bytes and mean times per rule (backend)"
    decides: ClassVar[bool] = True

    def missing(self) -> str | None:
        return None if shutil.which("haproxy") else "haproxy is not installed: sh bench/install.sh"

    def version(self) -> str:
        return output_of("haproxy", "-v").split()[2]

    def configuration(self, site: Site) -> str:
        head = _HEAD.format(
            port=site.port,
            connections=site.connections,
            workers=site.workers,
            protocol="https" if site.tls else "http",
            tls=f" ssl crt {site.tls.bundle} ssl-min-ver TLSv1.3" if site.tls else "",
            log="    log stdout format raw local0\n" if site.access_log else "",
            log_format="    log global\n    option httplog\n" if site.access_log else "",
        )
        lines = [head.rstrip()]
        for rule in site.table.rules:
            lines.append(" ".join([f"    use_backend {rule.name} if", *_conditions(rule)]))
        lines.append("    default_backend default")
        groups = {rule.name: rule.group for rule in site.table.rules}
        for name, group in {**groups, "default": DEFAULT_GROUP}.items():
            lines += [f"backend {name}", f"    server target 127.0.0.1:{site.target_ports[group]}"]
        return "\n".join([*lines, ""])

    def command(self, file: Path, site: Site) -> Sequence[str]:
        command = ["haproxy", "-db", "-f", str(file)]
        if site.access_log is None:
            return command
        # It writes to no file itself: its standard output becomes the file.
        return ["sh", "-c", 'file=$1; shift; exec "$@" >>"$file"', "sh", str(site.access_log), *command]

    def check_command(self, file: Path) -> Sequence[str]:
        return ["haproxy", "-c", "-f", str(file)]

    def environment(self) -> Mapping[str, str]:
        return {}


def _conditions(rule: Rule) -> Iterator[str]:
    if rule.host is not None:
        end = rule.host.removeprefix("*")
        yield f"{{ req.hdr(host) -i -m {'end' if end != rule.host else 'str'} {end} }}"
    if rule.path_regex:
        yield f"{{ path -m reg {rule.path_regex} }}"
    elif rule.path_prefix:
        yield f"{{ path -m beg {rule.path_prefix} }}"
    elif rule.path is not None:
        yield f"{{ path -m str {rule.path} }}"
    if rule.method is not None:
        yield f"{{ method {rule.method} }}"
    if rule.header is not None:
        name, value = rule.header
        yield f"{{ req.hdr({name}) -i -m {'sub' if value.startswith('*') else 'str'} {value.strip('*')} }}"
    if rule.query is not None:
        yield f"{{ url_param({rule.query[0]}) -i -m str {rule.query[1]} }}"
