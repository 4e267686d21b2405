"""What is measured of requests: sums and windows, quiet time, names that come later, names that change."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.carveout.cell import BLOCK_SECONDS, BLOCKS
from proxy.carveout.demand import MAX_CACHED, MAX_WAITING, Demand
from proxy.carveout.report import transactions_report
from proxy.carveout.server_timing import server_timing
from proxy.carveout.transactions import Transactions
from proxy.carveout.workload import TransactionLoad, Workload, bucket_of
from proxy.carveout.workload_json import add, workload_from_json, workload_to_json
from proxy.config.model import TransactionsConfig
from proxy.config.transaction_patterns import parse_pattern
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView

START = 1_700_006_400.0
assert START % BLOCK_SECONDS == 0


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def request(path: str = "/orders/1", seconds: float = 0.1, **changes: Any) -> RequestRecord:
    """A GET that the monolith answered; the head came after half of the time."""
    record = RequestRecord()
    headers = changes.pop("headers", [])
    record.method = changes.pop("method", b"GET")
    record.view = RequestView.of(record.method.decode(), path, headers)
    record.started_at = START
    record.received_at = record.sent_at = 50.0
    record.head_at, record.ended_at = 50.0 + seconds / 2, 50.0 + seconds
    record.target_group, record.client = "monolith", "192.0.2.1"
    record.status, record.in_flight = 200, 1
    record.request_bytes, record.response_bytes = 100, 1000
    record.response_fields = {}
    for name, value in changes.items():
        setattr(record, name, value)
    return record


def demand(clock: Clock | None = None, **options: Any) -> Demand:
    """With names that are the method and the first segment."""
    return Demand(
        lambda method, path: f"{method.decode()} /{path.decode().split('/')[1]}", now=clock or Clock(), **options
    )


def only(workload: Workload) -> TransactionLoad:
    (load,) = workload.transactions
    return load


def test_the_sums_of_a_transaction() -> None:
    counted = demand()
    counted.note(request(seconds=0.1))
    counted.note(request(seconds=3.0, status=503))
    counted.note(request(status=404, seconds=0.5))
    counted.note(
        request(seconds=0.0, response_fields={b"set-cookie": b"a=b", b"server-timing": b"db;dur=20, cpu;dur=5"})
    )

    load = only(counted.workload())

    assert (load.name, load.target_group, load.requests) == ("GET /orders", "monolith", 4)
    assert load.seconds == pytest.approx(3.6)
    assert load.squared_seconds == pytest.approx(0.01 + 9 + 0.25)
    assert load.first_byte_seconds == pytest.approx(1.8)
    assert load.slow_seconds == pytest.approx(2.0)
    assert (load.request_bytes, load.response_bytes) == (400, 4000)
    assert (load.errors, load.client_errors, load.writes, load.sets_cookies) == (1, 1, 0, 1)
    assert load.database_seconds == pytest.approx(0.02)
    assert sum(window.cpu_seconds for window in load.windows.values()) == pytest.approx(0.005)
    assert [load.counts[bucket_of(seconds)] for seconds in (0.1, 3.0, 0.5, 0.0)] == [1, 1, 1, 1]
    assert load.last_hit == START


CASES = {
    "a slow client's time is not the target's": ({"client_was_slow": True}, 0.05, 0),
    "a tunnel's time says nothing": ({"tunnel": True}, 0.0, 1),
    "an event stream's time says nothing": ({"is_stream": True}, 0.0, 1),
    "nothing was sent": ({"sent_at": 0.0, "head_at": 0.0, "status": 502, "reason": "Target.ConnectionRefused"}, 0.0, 0),
    "the target answered before it had all": ({"sent_at": 50.2}, 0.0, 0),
    "the target never answered": ({"head_at": 0.0, "status": 504, "reason": "Target.Timeout"}, 0.1, 0),
}


@pytest.mark.parametrize(("changes", "seconds", "streams"), CASES.values(), ids=CASES)
def test_whose_time_it_was(changes: dict[str, Any], seconds: float, streams: int) -> None:
    counted = demand()
    counted.note(request(**changes))
    load = counted.workload().transactions[0] if counted.workload().transactions else TransactionLoad("", "")
    assert load.seconds == pytest.approx(seconds)
    assert load.streams == streams
    assert load.requests == 1


def test_writes_are_those_with_an_unsafe_method() -> None:
    counted = demand()
    for method in (b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"PATCH", b"DELETE"):
        counted.note(request(method=method))
    writes = {load.name.split()[0]: load.writes for load in counted.workload().transactions}
    assert writes == {"GET": 0, "HEAD": 0, "OPTIONS": 0, "POST": 1, "PUT": 1, "PATCH": 1, "DELETE": 1}


def test_quiet_is_the_quarter_with_the_fewest_in_flight() -> None:
    clock = Clock()
    counted = demand(clock)
    for in_flight in (5, 6, 7, 8) * 50:
        counted.note(request(in_flight=in_flight, seconds=1.0))
    clock.now += 10
    counted.tick()
    for in_flight in (5, 6, 7, 8) * 50:
        counted.note(request(in_flight=in_flight, seconds=in_flight / 10))

    load = only(counted.workload())

    assert sum(window.quiet_requests for window in load.windows.values()) == 50
    assert sum(window.quiet_seconds for window in load.windows.values()) == pytest.approx(25.0)


def test_windows_are_ten_seconds_at_first_and_a_minute_later() -> None:
    clock = Clock(START + 5)
    counted = demand(clock)
    for _ in range(3):
        counted.note(request())
        clock.now += 10
        counted.tick()
    workload = counted.workload()
    assert (workload.started_at, workload.window_seconds, workload.window_count) == (START, 10, 4)
    assert {index: window.requests for index, window in only(workload).windows.items()} == {0: 1, 1: 1, 2: 1}

    clock.now = START + BLOCK_SECONDS + 61
    counted.tick()
    counted.note(request())
    workload = counted.workload()
    assert (workload.started_at, workload.window_seconds) == (START, 60)
    windows = {index: window.requests for index, window in only(workload).windows.items()}
    assert windows == {0: 3, BLOCK_SECONDS // 60 + 1: 1}


def test_what_is_older_than_a_day_is_forgotten() -> None:
    clock = Clock()
    counted = demand(clock)
    counted.note(request("/old/1"))
    counted.note(request("/new/1"))
    for _ in range(BLOCKS + 2):
        clock.now += BLOCK_SECONDS
        counted.note(request("/new/1", started_at=clock.now, seconds=0.2))
        counted.tick()
    workload = counted.workload()
    load = only(workload)
    assert load.name == "GET /new"
    assert load.requests == BLOCKS, "of the block that is open nothing came yet"
    assert load.seconds == pytest.approx(0.2 * BLOCKS)
    assert sum(load.counts) == BLOCKS
    assert workload.window_count == (BLOCK_SECONDS * BLOCKS) // 60 + 1
    assert workload.started_at == clock.now - BLOCK_SECONDS * BLOCKS


def test_asking_often_does_not_change_the_answer() -> None:
    clock = Clock()
    counted = demand(clock)
    for _ in range(25):
        counted.note(request())
        counted.workload()
        clock.now += 1
        counted.tick()
    assert {index: window.requests for index, window in only(counted.workload()).windows.items()} == {
        0: 10,
        1: 10,
        2: 5,
    }


# Names that come later


def transactions(clock: Clock | None = None, **config: Any) -> Transactions:
    return Transactions(TransactionsConfig(**config), now=clock or Clock())


def counter(transactions: Transactions, name: str) -> float:
    values = transactions.snapshot()["values"].get("strangler_transaction_requests_total", [])
    return sum(value["value"] for value in values if value["labels"][0] == name)


def test_a_request_is_counted_under_the_name_that_its_path_gets() -> None:
    clock = Clock()
    live = transactions(clock)
    for number in range(8):
        live.demand.note(request(f"/orders/{number}", client=f"192.0.2.{number}"))
    assert counter(live, "GET /orders/{id}") == 0
    live.tick()
    assert counter(live, "GET /orders/{id}") == 8
    live.demand.note(request("/orders/99"))
    assert counter(live, "GET /orders/{id}") == 9
    assert only(live.workload()).requests == 9


def test_a_path_that_gets_no_name_is_unmatched_after_a_while() -> None:
    clock = Clock()
    live = transactions(clock)
    live.demand.note(request("/wp-login.php", status=404))
    live.tick()
    assert counter(live, "{unmatched}") == 0
    clock.now += 300
    live.tick()
    assert counter(live, "{unmatched}") == 1


def test_counters_do_not_go_back_when_a_name_changes() -> None:
    clock = Clock()
    live = transactions(clock)
    for number in range(9):
        live.demand.note(request("/users/mosspond", client=f"192.0.2.{number}"))
    live.tick()
    assert counter(live, "GET /users/mosspond") == 9
    rng = random.Random(4)
    for number in range(200):
        name = "".join(rng.choices("abcdefghijklmnop", k=6))
        live.demand.note(request(f"/users/{name}", client=f"192.0.2.{number}"))
    live.tick()
    assert counter(live, "GET /users/mosspond") == 9, "what was counted under the old name stays"
    assert counter(live, "GET /users/{id}") == 200
    live.demand.note(request("/users/mosspond"))
    assert counter(live, "GET /users/{id}") == 201
    assert only(live.workload()).requests == 210, "the workload has one name for both"


def test_a_target_may_name_a_request() -> None:
    live = transactions(hint_header="x-transaction-name")
    for number in range(600):
        live.demand.note(request("/graphql", method=b"POST", hint=f"query {number % 3 if number < 20 else number}"))
    assert counter(live, "query 1") >= 6
    assert counter(live, "{other}") > 0
    assert len(live.demand.cells) <= 502


def test_a_new_table_gives_other_names_at_once() -> None:
    live = transactions()
    live.demand.note(request("/orders/1"))
    live.serving(TransactionsConfig(patterns=(parse_pattern("GET /orders/{number}"),), objective_seconds=0.05))
    live.demand.note(request("/orders/2"))
    load = only(live.workload())
    assert (load.name, load.requests) == ("GET /orders/{number}", 2)
    assert load.slow_seconds == pytest.approx(0.05)


def test_memory_is_bounded_whatever_is_asked_for() -> None:
    live = transactions()
    for number in range(MAX_CACHED + MAX_WAITING):
        live.demand.note(request(f"/{number}x{number}y/{number}", status=404))
    assert len(live.demand._waiting) <= MAX_WAITING
    assert len(live.demand._by_path) <= MAX_CACHED
    assert len(live.demand.samples) <= 256


def test_what_a_session_asks_for_next() -> None:
    live = transactions()
    cookie = [("Cookie", "theme=dark; sessionid=abc")]
    for number in range(9):
        live.demand.note(request("/orders/1", client=f"192.0.2.{number}"))
        live.demand.note(request("/cart/1", client=f"192.0.2.{number}"))
    live.tick()
    for path in ("/cart/1", "/orders/5", "/orders/6", "/cart/1"):
        live.demand.note(request(path, headers=cookie, client="192.0.2.77"))
    live.demand.note(request("/cart/1", client="192.0.2.78"))
    live.tick()
    loads = {load.name: load for load in live.workload().transactions}
    assert loads["GET /cart/{id}"].neighbours == {"GET /orders/{id}": 1}
    assert loads["GET /orders/{id}"].neighbours == {"GET /orders/{id}": 1, "GET /cart/{id}": 1}
    assert loads["GET /cart/{id}"].sessions == 2


def test_over_a_restart_names_are_there_at_once(tmp_path: Any) -> None:
    clock = Clock()
    live = Transactions(TransactionsConfig(), state_file=tmp_path / "t.json", now=clock)
    for number in range(9):
        live.demand.note(request(f"/orders/{number}", client=f"192.0.2.{number}"))
    live.tick()
    live.save()
    again = Transactions(TransactionsConfig(), state_file=tmp_path / "t.json", now=clock)
    again.demand.note(request("/orders/77"))
    assert counter(again, "GET /orders/{id}") == 1


def test_a_worker_learns_from_its_supervisor() -> None:
    supervisor, worker = transactions(), Transactions(TransactionsConfig(), learns=False, now=Clock())
    for number in range(9):
        worker.demand.note(request(f"/orders/{number}", client=f"192.0.2.{number}"))
    worker.tick()
    supervisor.learn(worker.take_samples())
    supervisor.tick()
    worker.adopt(supervisor.namer.learned)
    assert counter(worker, "GET /orders/{id}") == 9


# Several processes


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from(["/a/1", "/b/1"])), max_size=30))
def test_the_sum_of_workers_is_what_one_process_would_have_seen(events: list[tuple[int, int, str]]) -> None:
    clock = Clock()
    alone, parts = demand(clock), [demand(clock) for _ in range(4)]
    for worker, pause, path in events:
        clock.now += pause
        for counted in (alone, *parts):
            counted.tick()
        alone.note(request(path))
        parts[worker].note(request(path))
    together = add([workload_from_json(workload_to_json(part.workload())) for part in parts])
    expected = alone.workload()

    def plain(workload: Workload) -> Any:
        return {
            load.name: ({i: w.requests for i, w in load.windows.items()}, load.counts, load.response_bytes)
            for load in workload.transactions
        }

    assert plain(together) == plain(expected)
    assert (together.started_at, together.window_seconds) == (expected.started_at, expected.window_seconds)
    assert together.window_count == expected.window_count


def test_workers_of_different_age_are_added_by_the_minute() -> None:
    clock = Clock()
    old = demand(clock)
    old.note(request())
    clock.now += BLOCK_SECONDS + 65
    old.tick()
    young = demand(clock)
    young.note(request())
    workload = add([young.workload(), old.workload()])
    assert (workload.started_at, workload.window_seconds) == (START, 60)
    assert {index: window.requests for index, window in only(workload).windows.items()} == {0: 1, 121: 1}


# What is shown


def test_the_report_has_shares_of_the_target_group() -> None:
    clock = Clock()
    counted = demand(clock)
    for _ in range(3):
        counted.note(request("/slow/1", seconds=0.3))
        counted.note(request("/fast/1", seconds=0.1))
    counted.note(request("/elsewhere/1", target_group="users"))
    clock.now += 10
    counted.tick()
    report = transactions_report(counted.workload(), clock.now)
    entries = {entry["name"]: entry for entry in report["transactions"]}
    assert entries["GET /slow"]["time_share"] == pytest.approx(0.75)
    assert entries["GET /elsewhere"]["time_share"] == 1.0
    assert entries["GET /slow"]["quiet_mean"] == pytest.approx(0.3)
    assert entries["GET /slow"]["rate"] == pytest.approx(0.3)
    assert entries["GET /slow"]["in_flight"] == pytest.approx(0.09)
    assert entries["GET /slow"]["variability"] == pytest.approx(0.0, abs=1e-6)
    assert entries["GET /slow"]["cpu_share"] is None
    assert entries["GET /slow"]["database_share"] is None
    assert report["window"] == {"seconds": 10.0, "since": START}


TIMINGS = {
    b"db;dur=12.5": (0.0125, 0.0),
    b'cache;desc="Cache Read";dur=23.2, db;dur=53, app;dur=47.2': (0.053, 0.0),
    b'sql.active_record;dur=3, sql;desc="x";dur="2"': (0.005, 0.0),
    b"cpu;dur=4,db": (0.0, 0.004),
    b"DB ; dur = 7": (0.007, 0.0),
    b"db;dur=-1, cpu;dur=x, ;;,": (0.0, 0.0),
    b"db;dur=9" + b"," * 5000 + b"cpu;dur=1": (0.009, 0.0),
}


@pytest.mark.parametrize(("value", "expected"), TIMINGS.items(), ids=lambda value: str(value)[:30])
def test_server_timing(value: bytes, expected: tuple[float, float]) -> None:
    assert server_timing(value) == pytest.approx(expected)
