"""The gateway of this repository."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bench.certificate import Certificate
from bench.peers.peer import Site
from bench.processes import REPOSITORY
from bench.table import DEFAULT_GROUP, Rule

COMPILED = REPOSITORY / "build" / "compiled"


class Gateway:
    name: ClassVar[str] = "gateway"
    file_name: ClassVar[str] = "routes.yaml"
    counts: ClassVar[str] = "all of /metrics: counters and histograms per rule, target group and transaction"
    decides: ClassVar[bool] = True

    def missing(self) -> str | None:
        present = (REPOSITORY / "proxy" / "__main__.py").exists()
        return None if present else f"there is no {REPOSITORY}/proxy/__main__.py"

    def version(self) -> str:
        return "this tree"

    def configuration(self, site: Site) -> str:
        rules = [
            {"name": rule.name, "priority": priority, "conditions": _conditions(rule), "forward": rule.group}
            for priority, rule in enumerate(site.table.rules, 1)
        ]
        groups = {group: [port] for group, port in site.target_ports.items()}
        return routes_yaml(site.port, rules, groups, tls=site.tls)

    def command(self, file: Path, site: Site) -> Sequence[str]:
        log = ["--access-log", str(site.access_log)] if site.access_log else []
        return [*serve_command(file, site.admin_port), "--workers", str(site.workers), *log]

    def check_command(self, file: Path) -> Sequence[str]:
        return [sys.executable, "-m", "proxy", "check", str(file)]

    def environment(self) -> Mapping[str, str]:
        """Return nothing to add: the settings under `STRANGLER_` of the caller's shell hold as given."""
        return {}


class CompiledGateway(Gateway):
    """The same with its hot path compiled, as the container image has it."""

    name: ClassVar[str] = "gateway-compiled"

    def missing(self) -> str | None:
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        present = (COMPILED / "proxy" / f"gateway{suffix}").exists()
        return None if present else "it is not compiled: make compiled"

    def version(self) -> str:
        return "build/compiled"

    def command(self, file: Path, site: Site) -> Sequence[str]:
        # -P: not from the folder it is started in, which is this tree.
        return [sys.executable, "-P", *super().command(file, site)[1:]]

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(COMPILED)}


def serve_command(file: Path, admin_port: int) -> list[str]:
    return [sys.executable, "-m", "proxy", "serve", "--config", str(file), "--admin-port", str(admin_port)]


def routes_yaml(
    port: int,
    rules: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Sequence[int]],
    *,
    default: str | Mapping[str, int] = DEFAULT_GROUP,
    health_check: Mapping[str, Any] | None = None,
    tls: Certificate | None = None,
) -> str:
    """Return a routes.yaml; JSON is YAML, and says a string where a string is meant.

    Args:
        port: The listener's port.
        rules: As routes.yaml writes them.
        groups: The ports of 127.0.0.1 that are the targets of each group.
        default: What the default rule forwards to.
        health_check: The health check of every group; the gateway's defaults without it.
        tls: The listener's certificate; HTTP without it.
    """
    listener: dict[str, Any] = {"name": "web", "port": port, "protocol": "HTTP", "default": {"forward": default}}
    if tls:
        files = {"certificate_file": str(tls.certificate), "private_key_file": str(tls.key)}
        listener |= {"protocol": "HTTPS", "certificates": [files], "ssl_policy": "ELBSecurityPolicy-TLS13-1-3-2021-06"}
    document = {
        "version": 1,
        "listeners": [{**listener, "rules": list(rules)}],
        "target_groups": {
            group: {
                "targets": [f"http://127.0.0.1:{each}" for each in ports],
                **({"health_check": dict(health_check)} if health_check else {}),
            }
            for group, ports in groups.items()
        },
    }
    return json.dumps(document, indent=1) + os.linesep


def _conditions(rule: Rule) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = []
    if rule.host is not None:
        conditions.append({"host-header": rule.host})
    if rule.path is not None:
        conditions.append({"path-pattern": rule.path})
    if rule.method is not None:
        conditions.append({"http-request-method": rule.method})
    if rule.header is not None:
        conditions.append({"http-header": {rule.header[0]: rule.header[1]}})
    if rule.query is not None:
        conditions.append({"query-string": {rule.query[0]: rule.query[1]}})
    return conditions
