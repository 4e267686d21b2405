"""nginx: a virtual host per host condition, a location per path condition, a map per further condition."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench.peers.peer import Site, output_of
from bench.table import DEFAULT_GROUP, Rule

_HEAD = """\
daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections {files}; }}
http {{
    access_log {log};
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    map_hash_bucket_size 128;
    server_names_hash_bucket_size 128;
"""

MOST_CONNECTIONS = 12_000

_PROXY = """\
    client_max_body_size 0;
    client_body_buffer_size 64k;
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Port $server_port;
    proxy_set_header X-Request-Id $request_id;
"""


class Nginx:
    name: ClassVar[str] = "nginx"
    file_name: ClassVar[str] = "nginx.conf"
    counts: ClassVar[str] = "totals of the process (stub_status); none per route"
    decides: ClassVar[bool] = True
    streams_requests: ClassVar[bool] = False

    def missing(self) -> str | None:
        return None if shutil.which("nginx") else "nginx is not installed: sh bench/install.sh"

    def version(self) -> str:
        return output_of("nginx", "-v").rpartition("/")[2]

    def configuration(self, site: Site) -> str:
        log = f"{site.access_log} combined" if site.access_log else "off"
        head = _HEAD.format(directory=site.directory, files=2 * site.connections, workers=site.workers, log=log)
        lines = [head + _PROXY]
        if self.streams_requests:
            lines.append("    proxy_request_buffering off;")
        if site.tls:
            lines.append(f"    ssl_certificate {site.tls.certificate}; ssl_certificate_key {site.tls.key};")
            lines.append("    ssl_protocols TLSv1.3;")
        for group, port in site.target_ports.items():
            keep = "keepalive 64; keepalive_requests 1000000000;"
            lines.append(f"    upstream {group} {{ server 127.0.0.1:{port}; {keep} }}")
        maps: list[str] = []
        servers: list[str] = []
        for number, (host, rules) in enumerate(site.table.by_host().items()):
            servers.extend(_server(number, host, rules, site, maps))
        return "\n".join([*lines, *maps, *servers, "}", ""])

    def command(self, file: Path, site: Site) -> Sequence[str]:
        return ["nginx", "-c", str(file), "-e", "stderr"]

    def check_command(self, file: Path) -> Sequence[str]:
        return ["nginx", "-t", "-q", "-c", str(file), "-e", "stderr"]

    def environment(self) -> Mapping[str, str]:
        return {}


class StreamingNginx(Nginx):
    """The same without `proxy_request_buffering`: a request's body goes on as it comes, as with the gateway."""

    name: ClassVar[str] = "nginx-streaming"
    streams_requests: ClassVar[bool] = True


def target_configuration(site_ports: Mapping[str, int], directory: Path, body_bytes: int) -> str:
    """Return the configuration of the target: one server per group, each answers with its group's name."""
    lines = [_HEAD.format(directory=directory, files=2 * MOST_CONNECTIONS, workers=1, log="off"), "    sendfile on;"]
    for group, port in site_ports.items():
        lines += [
            "    server {",
            f"        listen 127.0.0.1:{port} backlog=4096;",
            "        default_type text/plain;",
            "        location = /large { root " + str(directory) + "; }",
            '        location = /seen { return 200 "$http_x_forwarded_for|$http_x_forwarded_proto|'
            '$http_x_forwarded_port|$http_x_request_id$http_x_amzn_trace_id|$connection_requests"; }',
            f'        location / {{ return 200 "{target_body(group, body_bytes)}"; }}',
            "    }",
        ]
    return "\n".join([*lines, "}", ""])


def target_body(group: str, body_bytes: int) -> str:
    """Return what the target of a group answers: its name, filled up to `body_bytes`."""
    return f"{group} ".ljust(body_bytes, ".")


def _server(number: int, host: str | None, rules: Sequence[Rule], site: Site, maps: list[str]) -> list[str]:
    rest = next((rule.group for rule in rules if rule.path is None), DEFAULT_GROUP)
    locations = []
    for rule in rules:
        if rule.path is None:
            continue
        group = rule.group
        if selector := _selector(rule):
            variable, value = selector
            group = f"$group_{number}_{rule.name}"
            maps.append(f"    map {variable} {group} {{ default {rest}; {value} {rule.group}; }}")
        locations.append(f"        location {_location(rule)} {{ proxy_pass http://{group}; }}")
    if not any(rule.path == "/*" for rule in rules):
        locations.append(f"        location / {{ proxy_pass http://{rest}; }}")
    options = f"{' ssl' if site.tls else ''}{' default_server' if host is None else ''}"
    listen = f"        listen 127.0.0.1:{site.port}{options};"
    return ["    server {", listen, f"        server_name {host or '_'};", *locations, "    }"]


def _location(rule: Rule) -> str:
    if rule.path_regex:
        return f"~ {rule.path_regex}"
    if rule.path_prefix == "/":
        return "/"
    return f"^~ {rule.path_prefix}" if rule.path_prefix else f"= {rule.path}"


def _selector(rule: Rule) -> tuple[str, str] | None:
    """Return the variable and the value of the condition besides host and path, as `map` wants them."""
    if rule.method is not None:
        return "$request_method", rule.method
    if rule.header is not None:
        variable = "$http_" + rule.header[0].lower().replace("-", "_")
        value = rule.header[1]
        return variable, f"~*{re.escape(value.strip('*'))}" if value.startswith("*") else value
    if rule.query is not None:
        return f"$arg_{rule.query[0]}", rule.query[1]
    return None
