"""A real Prometheus scrapes the real gateway: every query of dashboard and rules has data.

Needs `prometheus` and `promtool` (Debian: apt-get install prometheus).
"""

import math
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from dashboard_queries import (
    DASHBOARDS,
    OBSERVABILITY,
    RULE_FILES,
    Query,
    alert_rules,
    all_of,
    load_dashboard,
    queries,
    recording_rules,
    selectors,
    substitute,
    variables,
)
from observed_gateway import LiveGateway, free_port, live_gateway, running, traffic, wait_for

pytestmark = pytest.mark.system

SCRAPE_INTERVAL = "500ms"
RATE_INTERVAL = "5s"
BOARDS = {path.stem: load_dashboard(path) for path in DASHBOARDS}


def promtool(*arguments: object) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration() -> None:
    promtool("check", "config", OBSERVABILITY / "prometheus.yml")


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", *RULE_FILES)


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    tested = Path(__file__).with_name("alerts_test.yml")

    promtool("test", "rules", tested)
    assert all(f"alertname: {alert['alert']}" in tested.read_text() for alert in alert_rules())


@dataclass
class Prometheus:
    """A running Prometheus that began to scrape at `started_at`."""

    http: httpx.Client
    started_at: float

    def ask(self, path: str, **parameters: str) -> Any:
        response = self.http.get(f"/api/v1/{path}", params=parameters)
        assert response.status_code == 200, f"{parameters}: {response.text}"
        return response.json()["data"]

    def has_data(self, query: Query) -> bool:
        """Whether there is a number, and not only NaN, for some series at some time."""
        if not query.is_range:
            return any(_is_number(each["value"]) for each in self.ask("query", query=query.expr)["result"])
        start, end = str(self.started_at), str(time.time())
        result = self.ask("query_range", query=query.expr, start=start, end=end, step="1")["result"]
        return any(_is_number(value) for each in result for value in each["values"])

    def without_data(self, asked: list[Query], seconds: float) -> list[Query]:
        """The queries that have no data, even after waiting."""
        deadline = time.monotonic() + seconds
        while (empty := [query for query in asked if not self.has_data(query)]) and time.monotonic() < deadline:
            time.sleep(0.5)
        return empty


def _is_number(sample: list[Any]) -> bool:
    return not math.isnan(float(sample[1]))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus beside a gateway that has had traffic, errors, a good reload and then a refused one."""
    folder = tmp_path_factory.mktemp("prometheus")
    with live_gateway(folder) as gateway, traffic(gateway.port):
        port = free_port()
        config = configuration(folder, gateway.admin_port, port)
        started_at = time.time()
        arguments = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (
            running(arguments, folder / "prometheus.log"),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            wait_for("Prometheus is ready", 20, lambda: http.get("/-/ready").status_code == 200)
            prometheus = Prometheus(http, started_at)
            reload_twice(gateway, prometheus)
            yield prometheus


def configuration(folder: Path, admin_port: int, port: int) -> Path:
    """Write prometheus.yml with these addresses and short intervals, and its rules beside it; return it."""
    config = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL}
    addresses = {"gateway:9901": f"127.0.0.1:{admin_port}", "localhost:9090": f"127.0.0.1:{port}"}
    for job in config["scrape_configs"]:
        for static in job["static_configs"]:
            static["targets"] = [addresses[target] for target in static["targets"]]
    shutil.copytree(OBSERVABILITY / "rules", folder / "rules")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def reload_twice(gateway: LiveGateway, prometheus: Prometheus) -> None:
    """Shift weight and wait until Prometheus has seen it; then write a bad table and wait for that."""
    successful = "strangler_config_last_reload_successful"
    wait_for("the first scrape", 20, lambda: prometheus.ask("query", query=f"{successful} == 1")["result"])
    gateway.write_table((50, 50))
    shifted = 'strangler_rule_weight{rule="users", target_group="users"} == 50'
    wait_for("a scrape after the reload", 20, lambda: prometheus.ask("query", query=shifted)["result"])
    gateway.routes.write_text("version: 1\nlisteners: nonsense\n")
    wait_for("a scrape after the bad table", 20, lambda: prometheus.ask("query", query=f"{successful} == 0")["result"])


def test_the_gateway_is_scraped(prometheus: Prometheus) -> None:
    targets = prometheus.ask("targets")["activeTargets"]

    assert {target["labels"]["job"]: target["health"] for target in targets} == {"strangler": "up", "prometheus": "up"}


def test_variables_list_what_the_table_has(prometheus: Prometheus) -> None:
    listed = ticked(prometheus, "routes")

    assert listed["listener"] == ["web"]
    assert listed["rule"] == ["bots", "cut", "dead", "default", "fails", "moved", "users"]
    assert listed["target_group"] == ["dead", "monolith", "users"]


def test_variables_list_transactions_and_who_served_them(prometheus: Prometheus) -> None:
    listed = ticked(prometheus, "transactions")

    assert {"monolith", "users"} <= set(listed["target_group"])
    assert listed["transaction"]


def ticked(prometheus: Prometheus, board: str) -> Mapping[str, list[str]]:
    """Each variable of the dashboard with all its values; one that takes a single value with what it begins with."""
    single = {
        each["name"]: each["current"]["value"] for each in BOARDS[board]["templating"]["list"] if not each["multi"]
    }
    return {
        each.variable: [single[each.variable]]
        if each.variable in single
        else prometheus.ask(f"label/{each.label}/values", **{"match[]": substitute(each.selector, {"listener": ".*"})})
        for each in variables(BOARDS[board])
    }


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("choice", ["All", "each value ticked"])
def test_every_query_of_the_dashboards_has_data(prometheus: Prometheus, board: str, choice: str) -> None:
    has_all = {each["name"] for each in BOARDS[board]["templating"]["list"] if each["includeAll"]}
    chosen = {
        name: ".*" if choice == "All" and name in has_all else all_of(values)
        for name, values in ticked(prometheus, board).items()
    }
    values = {**chosen, "__rate_interval": RATE_INTERVAL, "__range": "1m"}
    asked = [query._replace(expr=substitute(query.expr, values)) for query in queries(BOARDS[board])]

    assert len(asked) > 10
    assert prometheus.without_data(asked, 20) == []


def test_every_recorded_series_has_data(prometheus: Prometheus) -> None:
    asked = [Query(rule["record"], rule["record"], False) for rule in recording_rules()]

    assert prometheus.without_data(asked, 20) == []


def test_every_series_that_an_alert_reads_has_data(prometheus: Prometheus) -> None:
    asked = [Query(alert["alert"], selector, False) for alert in alert_rules() for selector in selectors(alert["expr"])]

    assert len(asked) >= len(alert_rules())
    assert prometheus.without_data(asked, 20) == []


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    groups = prometheus.ask("rules")["groups"]
    evaluated = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    assert evaluated == {rule.get("record") or rule["alert"]: "ok" for rule in (*recording_rules(), *alert_rules())}


def test_the_alerts_see_what_is_wrong_here_and_nothing_else(prometheus: Prometheus) -> None:
    expected = {
        ("StranglerErrorRatioHigh", "fails"),
        ("StranglerErrorRatioHigh", "dead"),
        ("StranglerNoHealthyTarget", "dead"),
        ("StranglerReloadFailed", ""),
    }
    of_transactions = {"StranglerTransactionFails", "StranglerTransactionSlowerThanElsewhere"}

    def seen() -> set[tuple[str, str]]:
        found = [alert["labels"] for alert in prometheus.ask("alerts")["alerts"]]
        return {(each["alertname"], each.get("rule") or each.get("target_group") or "") for each in found}

    wait_for(f"{expected} pending or firing", 20, lambda: seen() >= expected)
    others = {each for each in seen() - expected if each[0] not in of_transactions}
    assert others <= {("StranglerOverheadHigh", "")}, "a busy machine may add to the overhead"
