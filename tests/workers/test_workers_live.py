"""Several workers, seen from outside: one table, one sum, one health."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_target import ScriptedTarget
from served import Served, free_port, serving

TABLE = """
version: 1
listeners:
  - port: PORT
    name: web
    default: {{forward: first}}
    rules:
      - name: split
        priority: 10
        conditions: [{{path-pattern: /split}}]
        forward: {{first: {first}, second: {second}}}
target_groups:
  first: {{targets: ["http://127.0.0.1:{one}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
  second: {{targets: ["http://127.0.0.1:{two}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
"""


@pytest.fixture
def targets() -> Iterator[tuple[ScriptedTarget, ScriptedTarget]]:
    one, two = ScriptedTarget(), ScriptedTarget()
    yield one, two
    one.close()
    two.close()


@pytest.fixture
def served(tmp_path: Path, targets: tuple[ScriptedTarget, ScriptedTarget]) -> Iterator[Served]:
    with serving(tmp_path, table(targets), "--workers", "2") as gateway:
        yield gateway


def table(targets: tuple[ScriptedTarget, ScriptedTarget], first: int = 1, second: int = 0) -> str:
    return TABLE.format(one=targets[0].port, two=targets[1].port, first=first, second=second)


def workers_of(served: Served) -> list[int]:
    """The process of each worker that was started last under its number, by the supervisor's log."""
    started = re.findall(r"worker (\d+) is process (\d+)", served.log.read_text())
    return list({number: int(pid) for number, pid in started}.values())


def requests(served: Served, **labels: str) -> float:
    return served.metric("strangler_requests_total", **labels)


def ask(served: Served, count: int, path: str = "/") -> list[int]:
    """Each request on a connection of its own, so that the kernel spreads them over the workers."""
    return [httpx.get(f"http://127.0.0.1:{served.port}{path}", trust_env=False).status_code for _ in range(count)]


def test_one_scrape_shows_the_sum_of_all_workers(served: Served) -> None:
    assert ask(served, 40) == [200] * 40

    assert requests(served, rule="default", target_group="first", code="200") == 40


def test_counters_do_not_go_back_when_a_worker_is_killed(served: Served) -> None:
    """What a dead worker had counted still counts, and another one takes its place."""
    ask(served, 40)
    before = requests(served)
    killed = workers_of(served)[0]

    os.kill(killed, signal.SIGKILL)
    served.eventually(
        lambda: len(workers_of(served)) == 2 and killed not in workers_of(served), "the worker was not replaced"
    )

    assert requests(served) >= before
    assert ask(served, 20) == [200] * 20
    served.eventually(lambda: requests(served) == before + 20, "requests after the restart are not counted")


def test_a_worker_that_hangs_takes_nothing_from_the_counts(served: Served) -> None:
    """It is replaced; a scrape waits for it while another worker ends, whose counts must be in the sum once."""
    ask(served, 40)
    before = requests(served)
    hanging, ending = workers_of(served)

    os.kill(hanging, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as scraper:
        # Its scrape has the ending worker's counts and waits for the hanging one.
        scrape = scraper.submit(requests, served)
        with pytest.raises(TimeoutError):
            scrape.result(1)
        os.kill(ending, signal.SIGKILL)
        assert scrape.result() == before
    served.eventually(
        lambda: not {hanging, ending} & set(workers_of(served)) and len(ask(served, 1)) == 1, "not both were replaced"
    )

    assert requests(served) >= before


def test_sighup_to_a_worker_does_not_end_it(served: Served) -> None:
    before = workers_of(served)
    for worker in before:
        os.kill(worker, signal.SIGHUP)

    assert ask(served, 20) == [200] * 20
    assert workers_of(served) == before


def test_a_table_reaches_all_workers(served: Served, targets: tuple[ScriptedTarget, ScriptedTarget]) -> None:
    served.table.write_text(table(targets, first=0, second=1).replace("PORT", str(served.port)))
    served.eventually(
        lambda: served.metric("strangler_rule_weight", rule="split", target_group="second") == 1, "no reload"
    )

    ask(served, 30, "/split")

    assert requests(served, rule="split", target_group="second") == 30
    assert requests(served, rule="split", target_group="first") == 0


def test_a_worker_that_ends_during_a_reload_is_no_reason_against_the_table(served: Served) -> None:
    """Nobody would try again what the watcher has seen. The one that takes its place begins with the new table."""
    worker = workers_of(served)[0]
    served.table.write_text(served.table.read_text().replace("name: web", "name: other"))
    with ThreadPoolExecutor(1) as administrator:
        os.kill(worker, signal.SIGSTOP)
        reload = administrator.submit(served.admin.post, "/api/reload", timeout=60)
        with pytest.raises(TimeoutError):
            reload.result(1)
        os.kill(worker, signal.SIGKILL)
        assert reload.result().status_code == 200
    served.eventually(lambda: worker not in workers_of(served), "the worker was not replaced")

    assert ask(served, 20) == [200] * 20
    assert requests(served, listener="other") == 20


def test_a_bad_table_reaches_none(served: Served) -> None:
    served.table.write_text("version: 1\nlisteners: []\n")

    answer = served.admin.post("/api/reload")

    assert answer.status_code == 422
    assert served.metric("strangler_config_last_reload_successful") == 0
    assert ask(served, 10) == [200] * 10


def test_a_new_listener_is_opened_by_all_workers(served: Served) -> None:
    port = free_port()
    text = served.table.read_text()
    served.table.write_text(
        text.replace("listeners:", f"listeners:\n  - {{port: {port}, name: more, default: {{forward: second}}}}")
    )

    assert served.admin.post("/api/reload").json()["ok"] is True
    answers = [httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code for _ in range(20)]

    assert answers == [200] * 20
    assert requests(served, listener="more", target_group="second") == 20


def test_sigterm_drains_and_leaves_no_worker_behind(served: Served) -> None:
    workers = workers_of(served)
    assert len(workers) == 2

    assert served.stop() == 0
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_targets_show_what_all_workers_sent(served: Served) -> None:
    ask(served, 25)
    served.metric("strangler_in_flight_requests")

    groups = served.admin.get("/api/target-groups").json()["target_groups"]

    (target,) = next(group["targets"] for group in groups if group["name"] == "first")
    assert (target["state"], target["requests"], target["in_flight"]) == ("healthy", 25, 0)


def test_workers_share_the_names_of_transactions(served: Served) -> None:
    """Each worker sees some of the requests; the supervisor learns from all, and every worker names alike."""

    def named() -> float:
        ask(served, 4, "/orders/17/items")
        return served.metric("strangler_transaction_requests_total", transaction="GET /orders/{id}/items")

    served.eventually(lambda: named() > 0, "no worker knows the name")
    served.eventually(
        lambda: named() == served.metric("strangler_routed_requests_total"), "requests are counted under no name"
    )
    (entry,) = served.admin.get("/api/transactions").json()["transactions"]
    assert entry["name"] == "GET /orders/{id}/items"
    assert entry["requests"] == served.metric("strangler_routed_requests_total")


def batches(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The batches of a stream of live requests."""
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_live_requests_are_those_of_all_workers(served: Served) -> None:
    """And a stream that is still open does not hold up the end of the gateway."""
    with served.admin.stream("GET", "/api/live/requests") as response:
        stream = batches(response.iter_lines())
        # The first one says that the workers keep their requests from now on.
        assert next(stream)["entries"] == []
        ask(served, 30, "/split?password=s3cret")
        shown: list[dict[str, Any]] = []
        while len(shown) < 30:
            shown += next(stream)["entries"]

        assert {(each["path"], each["rule"], each["status"], each["has_query"]) for each in shown} == {
            ("/split", "split", 200, True)
        }
        assert "s3cret" not in json.dumps(shown)
        assert served.stop() == 0
    assert "Traceback" not in served.log.read_text()


def test_the_overview_is_of_all_workers(served: Served) -> None:
    def requests_of_route() -> int:
        routes = served.admin.get("/api/overview").json()["routes"]
        return sum(route["requests"] for route in routes if route["rule"] == "split")

    served.eventually(lambda: bool(served.admin.get("/api/overview").json()["points"]), "no point was made")
    ask(served, 30, "/split")

    served.eventually(lambda: requests_of_route() == 30, "the overview does not count all requests")


ANOMALY_TABLE = """
version: 1
listeners:
  - port: PORT
    default: {{forward: three}}
target_groups:
  three:
    targets: [{targets}]
    health_check: {{enabled: false}}
    attributes: {{load_balancing.algorithm.type: weighted_random, load_balancing.algorithm.anomaly_mitigation: "on"}}
"""


def test_an_anomaly_is_found_in_what_all_workers_sent_and_told_to_all(tmp_path: Path) -> None:
    """The supervisor, which is what people look at, sends nothing to targets itself."""
    with contextlib.ExitStack() as stack:
        targets = [ScriptedTarget(), ScriptedTarget(), ScriptedTarget()]
        targets[2].script = targets[2].answering(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        for target in targets:
            stack.callback(target.close)
        urls = ", ".join(f'"http://127.0.0.1:{target.port}"' for target in targets)
        served = stack.enter_context(serving(tmp_path, ANOMALY_TABLE.format(targets=urls), "--workers", "2"))

        def found() -> dict[str, str]:
            """What is found of each target, while requests go on."""
            ask(served, 15)
            groups = served.admin.get("/api/target-groups").json()["target_groups"]
            return {
                target["id"]: target["anomaly_detection"]["result"] for group in groups for target in group["targets"]
            }

        expected = {f"127.0.0.1:{target.port}": "normal" for target in targets}
        expected[f"127.0.0.1:{targets[2].port}"] = "anomalous"
        served.eventually(lambda: found() == expected, "the failing target is not found")

        assert served.metric("strangler_anomalous_targets", target_group="three") == 1
        served.eventually(
            lambda: served.metric("strangler_mitigated_targets", target_group="three") == 1, "no worker was told of it"
        )
