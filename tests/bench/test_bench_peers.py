"""Each peer's configuration, made from the same tables."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bench.certificate import make
from bench.peers import PEERS, Site
from bench.peers.nginx import target_configuration
from bench.processes import BenchError
from bench.table import GROUPS, Table, mixed_rules, one_rule

TABLES = {"1-rule": one_rule(), "100-rules": mixed_rules(100)}
PORTS = {group: 18001 + number for number, group in enumerate(GROUPS)}


DECIDING = {name for name, peer in PEERS.items() if peer.decides}
VARIED = sorted(DECIDING - {"caddy", "fastapi-httpx"})
"""Those that are also compared with an access log, TLS or several workers."""


def site(table: Table, directory: Path) -> Site:
    return Site(18000, 18099, table, PORTS, directory)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("name", sorted(DECIDING))
def test_every_rule_and_target_is_in_the_configuration(name: str, table: Table, tmp_path: Path) -> None:
    text = PEERS[name].configuration(site(table, tmp_path))

    for rule in table.rules:
        if rule.path and rule.path != "/*":
            assert rule.path.split("/")[1] in text
    for group in {rule.group for rule in table.rules}:
        assert str(PORTS[group]) in text


def test_the_gateways_rules_are_in_order() -> None:
    document = json.loads(PEERS["gateway"].configuration(site(TABLES["100-rules"], Path("/nowhere"))))
    rules = document["listeners"][0]["rules"]

    assert [rule["priority"] for rule in rules] == list(range(1, 101))
    assert rules[9]["conditions"] == [
        {"host-header": "r009.example.com"},
        {"path-pattern": "/r009/*"},
        {"http-request-method": "POST"},
    ]
    assert document["target_groups"]["orders"] == {"targets": ["http://127.0.0.1:18002"]}


def test_haproxy_tries_the_rules_in_order() -> None:
    text = PEERS["haproxy"].configuration(site(TABLES["100-rules"], Path("/nowhere")))
    tried = [line.split()[1] for line in text.splitlines() if line.strip().startswith("use_backend")]

    assert tried == [rule.name for rule in TABLES["100-rules"].rules]


@pytest.mark.system
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("name", sorted(DECIDING - {"fastapi-httpx"}))
def test_the_peer_accepts_its_configuration(name: str, table: Table, tmp_path: Path) -> None:
    """`nginx -t`, `haproxy -c`, `caddy validate`, `envoy --mode validate`, `strangler check`."""
    peer = PEERS[name]
    assert not peer.missing()
    file = tmp_path / peer.file_name
    file.write_text(peer.configuration(site(table, tmp_path)))
    command = peer.check_command(file)
    assert command is not None
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.system
@pytest.mark.parametrize("kind", ["access-log", "tls", "workers"])
@pytest.mark.parametrize("name", VARIED)
def test_the_peer_accepts_its_configuration_with(name: str, kind: str, tmp_path: Path) -> None:
    peer = PEERS[name]
    if name != "gateway-compiled":
        assert not peer.missing()
    plain = site(one_rule(), tmp_path)
    varied = {
        "access-log": replace(plain, access_log=tmp_path / "access.log"),
        "tls": replace(plain, tls=make(tmp_path)),
        "workers": replace(plain, workers=2),
    }[kind]
    file = tmp_path / peer.file_name
    file.write_text(peer.configuration(varied))
    command = peer.check_command(file)
    assert command is not None
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", VARIED)
def test_the_access_log_is_where_it_is_looked_for(name: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    logging = replace(site(one_rule(), tmp_path), access_log=log)
    told = [PEERS[name].configuration(logging), *PEERS[name].command(tmp_path / "file", logging)]

    assert any(str(log) in each for each in told)


@pytest.mark.parametrize("name", sorted(PEERS.keys() - set(VARIED)))
def test_a_peer_says_what_it_has_no_words_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(BenchError):
        PEERS[name].configuration(replace(site(one_rule(), tmp_path), access_log=tmp_path / "access.log"))


@pytest.mark.system
def test_nginx_accepts_the_targets_configuration(tmp_path: Path) -> None:
    assert shutil.which("nginx"), "nginx is not installed: sh bench/install.sh"
    file = tmp_path / "target.conf"
    file.write_text(target_configuration(PORTS, tmp_path, 200))
    command = PEERS["nginx"].check_command(file)
    assert command is not None
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
