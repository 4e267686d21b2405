"""The table that the repository ships decides as its comments say."""

from pathlib import Path

import pytest
import yaml

from proxy.config.load import load_with_warnings
from proxy.config.model import ForwardConfig
from proxy.rules.compile import compile_table
from proxy.rules.request import RequestView

REPOSITORY = Path(__file__).resolve().parents[2]
PATH = REPOSITORY / "routes.yaml"
LINES = PATH.read_text().splitlines()
CONFIG, WARNINGS = load_with_warnings(PATH.read_bytes(), {}, PATH.name)
TABLE = compile_table(CONFIG.listeners[0])

OLD_APP = [("User-Agent", "mobile"), ("Version", "1.0.0")]

DECISIONS = [
    ("GET", "localhost:8080", "/", [], "default"),
    ("GET", "localhost:8080", "/api/products?category=tea", [], "default"),
    ("GET", "localhost:8080", "/?utm_source=bot", [], "bots"),
    ("GET", "localhost:8080", "/api/users?limit=5&utm_source=bot", [], "bots"),
    ("GET", "localhost:8080", "/?utm_source=newsletter", [], "default"),
    ("GET", "www.mycompany.com", "/api/users/1", [], "www"),
    ("GET", "WWW.MyCompany.com:8080", "/", [], "www"),
    ("GET", "users.mycompany.com", "/api/users/1", [], "users-preview"),
    ("GET", "localhost:8080", "/api/users/1", OLD_APP, "old-app"),
    ("GET", "localhost:8080", "/api/users/1", [("User-Agent", "mobile"), ("Version", "2.0.0")], "users"),
    ("GET", "localhost:8080", "/api/users/1", [("Version", "1.0.0")], "users"),
    ("POST", "localhost:8080", "/api/users", [], "signup"),
    ("GET", "localhost:8080", "/api/users", [], "users"),
    ("POST", "localhost:8080", "/api/users/login", [], "users"),
    ("GET", "localhost:8080", "/api/usersettings", [], "default"),
    ("GET", "localhost:8080", "/API/users/1", [], "default"),
    ("GET", "localhost:8080", "/api/recommendations/users/1/friends", [], "recommendations"),
    ("POST", "localhost:8080", "/api/contacts/7", [], "contacts"),
    ("POST", "localhost:8080", "/api/payments", [], "payments"),
    ("GET", "localhost:8080", "/api/payments/900000000007", [], "own-payments"),
    ("GET", "localhost:8080", "/api/payments/907", [], "default"),
    ("GET", "localhost:8080", "/api/reports/nightly/2026-01-31", [], "nightly-report"),
    ("POST", "localhost:8080", "/api/reports/nightly", [], "nightly-report"),
    ("GET", "localhost:8080", "/api/images/900000000007/thumb", [], "own-images"),
    ("GET", "localhost:8080", "/api/images/7/thumb", [], "default"),
    ("POST", "localhost:8080", "/api/images", [], "uploads"),
    ("POST", "clicks.mycompany.com", "/api/clicks", [], "clicks-preview"),
    ("POST", "localhost:8080", "/api/clicks", [], "clicks"),
    ("GET", "localhost:8080", "/api/clicks", [], "default"),
]


def test_it_is_good_without_a_warning() -> None:
    assert WARNINGS == []


@pytest.mark.parametrize(("method", "host", "target", "headers", "rule"), DECISIONS)
def test_a_request_goes_to_the_rule(
    method: str, host: str, target: str, headers: list[tuple[str, str]], rule: str
) -> None:
    view = RequestView.of(method, target, [("Host", host), *headers], peer="192.0.2.1", scheme="http", port=8080)

    assert TABLE.evaluate(view).name == rule


def test_there_is_an_example_of_every_rule() -> None:
    assert {rule for *_, rule in DECISIONS} == {rule.name for rule in CONFIG.listeners[0].rules} | {"default"}


def test_every_group_is_checked_each_5_seconds() -> None:
    checked = [group for group in CONFIG.target_groups.values() if group.event is None]
    assert {group.health_check.interval_seconds for group in checked} == {5}


def test_without_the_profile_events_nothing_goes_where_nobody_is() -> None:
    """But for images with a number that only the service behind it gives."""
    there = {"monolith", "users", "recommendations", "contacts", "payments"}
    reached = {
        rule.name: {group for group, weight in rule.action.weights if weight} - there
        for rule in CONFIG.listeners[0].rules
        if isinstance(rule.action, ForwardConfig)
    }

    assert {name: groups for name, groups in reached.items() if groups} == {
        "own-images": {"uploads"},
        "clicks-preview": {"clicks"},
    }


def test_the_environment_says_where_targets_are() -> None:
    environment = {f"{name}_URL": f"http://127.0.0.1:{port}" for name, port in PORTS.items()}
    config, _ = load_with_warnings(PATH.read_bytes(), environment, PATH.name)

    found = {name.upper().replace("-", "_"): group.targets[0].port for name, group in config.target_groups.items()}
    assert found == PORTS | {"CLICKS": 0}


PORTS = {"MONOLITH": 7001, "USERS": 7002, "RECOMMENDATIONS": 7003, "CONTACTS": 7004, "PAYMENTS": 7005}
PORTS |= {"NIGHTLY_REPORT": 7006, "UPLOADS": 7007}


def test_the_first_line_names_the_schema() -> None:
    assert LINES[0].startswith("# yaml-language-server: $schema=")


def test_every_key_is_explained_where_it_first_appears() -> None:
    explained: set[str] = set()
    silent: list[str] = []
    for line in LINES:
        code, _, comment = line.partition("#")
        key = code.strip().removeprefix("- ").partition(":")[0]
        if not key or key.startswith("${"):
            continue
        if comment:
            explained.add(key)
        elif key not in explained:
            silent.append(line)

    assert silent == []


def test_it_is_read_the_same_by_any_yaml_parser() -> None:
    assert list(yaml.safe_load(PATH.read_text())) == ["version", "attributes", "listeners", "target_groups"]
