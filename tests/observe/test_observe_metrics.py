"""Counting: what a record adds, what a reload keeps, what several workers make together."""

from __future__ import annotations

import json
from bisect import bisect_left
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from observe_records import RECEIVED_AT, forwarded, refused

from proxy.observe import families
from proxy.observe.families import DURATION_BUCKETS, Family
from proxy.observe.live import LiveState, ReloadState
from proxy.observe.metrics import Metrics
from proxy.observe.record import RequestRecord
from proxy.observe.snapshot import Snapshot, empty, merge, remains

LIVE = LiveState(
    groups={"users": [("10.0.0.1:8000", True, 2), ("10.0.0.2:8000", False, 3)]},
    weights={("web", "users", "users"): 10, ("web", "users", "monolith"): 90},
    reload=ReloadState(successful=False, timestamp=1_700_000_000.5, counts={"success": 3, "failure": 1}),
    access_log_dropped=7,
)


def values(snapshot: Snapshot, family: Family) -> dict[tuple[str, ...], float]:
    return {tuple(sample["labels"]): sample["value"] for sample in snapshot["values"].get(family.name, ())}


def distributions(snapshot: Snapshot, family: Family) -> dict[tuple[str, ...], tuple[list[int], float]]:
    return {
        tuple(sample["labels"]): (sample["counts"], sample["sum"])
        for sample in snapshot["distributions"].get(family.name, ())
    }


def record_in(metrics: Metrics, record: RequestRecord) -> None:
    metrics.series(record.listener, record.rule, record.target_group).record(record)


def counted(*records: RequestRecord) -> Snapshot:
    metrics = Metrics()
    for record in records:
        record_in(metrics, record)
    return metrics.snapshot(LiveState())


@pytest.mark.parametrize(
    ("record", "labels"),
    [
        pytest.param(forwarded(), ("web", "users", "users", "GET", "200"), id="a forwarded request"),
        pytest.param(
            forwarded(method=b"get"),
            ("web", "users", "users", "OTHER", "200"),
            id="methods are case-sensitive",
        ),
        pytest.param(forwarded(method=b"PROPFIND"), ("web", "users", "users", "OTHER", "200"), id="an unknown verb"),
        pytest.param(
            forwarded(target_group="", status=301, target_status=0, head_at=0.0, sent_at=0.0),
            ("web", "users", "", "GET", "301"),
            id="a redirect has no target group",
        ),
        pytest.param(refused(), ("web", "", "", "OTHER", "400"), id="a malformed request has no rule"),
        pytest.param(
            forwarded(status=460, target_status=0, head_at=0.0, reason="Client.Closed"),
            ("web", "users", "users", "GET", "460"),
            id="a client that left counts as 460",
        ),
    ],
)
def test_labels_of_a_counted_request(record: RequestRecord, labels: tuple[str, ...]) -> None:
    assert {labels: 1} == values(counted(record), families.REQUESTS)


@pytest.mark.parametrize(
    ("record", "errors", "cut"),
    [
        pytest.param(forwarded(), {}, {}, id="a target's 200 is no error"),
        pytest.param(forwarded(status=502, target_status=502), {}, {}, id="nor is a target's own 502"),
        pytest.param(
            forwarded(status=504, target_status=0, head_at=0.0, reason="Target.Timeout"),
            {("504", "Target.Timeout"): 1},
            {},
            id="a 504 of the gateway",
        ),
        pytest.param(
            forwarded(status=502, target_status=200, reason="Target.MalformedResponse"),
            {("502", "Target.MalformedResponse"): 1},
            {},
            id="a 502 in place of a target's 200",
        ),
        pytest.param(
            forwarded(status=460, target_status=0, head_at=0.0, reason="Client.Closed"),
            {("460", "Client.Closed"): 1},
            {},
            id="a client that left",
        ),
        pytest.param(refused(), {("400", "Client.BadRequest"): 1}, {}, id="a malformed request"),
        pytest.param(
            forwarded(reason="Target.ConnectionClosed"),
            {},
            {("users", "users", "Target.ConnectionClosed"): 1},
            id="a 200 that was cut short is not an answer of the gateway",
        ),
    ],
)
def test_whose_answer_a_failed_request_got(record: RequestRecord, errors: dict[Any, int], cut: dict[Any, int]) -> None:
    snapshot = counted(record)

    assert errors == values(snapshot, families.ELB_ERRORS)
    assert cut == values(snapshot, families.CUT_RESPONSES)


@pytest.mark.parametrize(
    ("record", "request_seconds", "target_seconds"),
    [
        pytest.param(forwarded(), 0.022, 0.020, id="a forwarded request"),
        pytest.param(
            forwarded(ended_at=RECEIVED_AT + 3600.0, tunnel=True, status=101, target_status=101),
            0.021,
            0.020,
            id="a tunnel counts until its 101, not for the hours it lives",
        ),
        pytest.param(forwarded(sent_at=0.0), 0.022, 0.0, id="a target that answers before the whole request was sent"),
        pytest.param(forwarded(sent_at=RECEIVED_AT + 0.03), 0.022, 0.0, id="the same with the rest sent later"),
        pytest.param(forwarded(head_at=0.0, target_status=0, status=502), 0.022, None, id="no head, no response time"),
        pytest.param(forwarded(ended_at=RECEIVED_AT - 1.0), 0.0, 0.020, id="time never runs backwards"),
    ],
)
def test_durations(record: RequestRecord, request_seconds: float, target_seconds: float | None) -> None:
    snapshot = counted(record)

    counts, total = distributions(snapshot, families.REQUEST_DURATION)["web", "users", "users"]
    assert pytest.approx(request_seconds) == total
    assert counts[bisect_left(DURATION_BUCKETS, request_seconds)] == sum(counts) == 1
    target = distributions(snapshot, families.TARGET_RESPONSE_DURATION)
    if target_seconds is None:
        assert target == {}
    else:
        assert pytest.approx(target_seconds) == target["users", "users"][1]


@given(st.lists(st.floats(min_value=0, max_value=200), min_size=1))
@example(list(DURATION_BUCKETS))
def test_a_histogram_equals_counting_by_hand(durations: list[float]) -> None:
    """A bucket holds what is at most its bound and over the one before it."""
    snapshot = counted(*(forwarded(received_at=0.0, ended_at=seconds, head_at=0.0) for seconds in durations))

    counts, total = distributions(snapshot, families.REQUEST_DURATION)["web", "users", "users"]
    bounds = [-1.0, *DURATION_BUCKETS, float("inf")]
    by_hand = [sum(low < seconds <= high for seconds in durations) for low, high in pairwise(bounds)]
    assert by_hand == counts
    assert pytest.approx(sum(durations)) == total


def test_bytes_and_overhead_are_summed_where_labels_are_equal() -> None:
    """Two listeners may have rules of one name; bytes have no listener among their labels."""
    snapshot = counted(forwarded(), forwarded(listener="other"), forwarded())

    assert values(snapshot, families.REQUEST_BYTES) == {("users", "users"): 900}
    assert values(snapshot, families.RESPONSE_BYTES) == {("users", "users"): 1500}
    overhead = distributions(snapshot, families.OVERHEAD)
    assert overhead["web",] == ([2, *[0] * 10], pytest.approx(0.00008))
    assert overhead["other",] == ([1, *[0] * 10], pytest.approx(0.00004))


def test_invented_methods_make_one_series() -> None:
    snapshot = counted(*(forwarded(method=b"X%d" % number) for number in range(1000)))

    assert values(snapshot, families.REQUESTS) == {("web", "users", "users", "OTHER", "200"): 1000}


def test_live_gauges_come_from_the_runtime() -> None:
    snapshot = Metrics().snapshot(LIVE)

    assert values(snapshot, families.IN_FLIGHT) == {("users",): 5}
    assert values(snapshot, families.TARGET_HEALTHY) == {
        ("users", "10.0.0.1:8000"): 1,
        ("users", "10.0.0.2:8000"): 0,
    }
    assert values(snapshot, families.RULE_WEIGHT) == {
        ("web", "users", "users"): 10,
        ("web", "users", "monolith"): 90,
    }
    assert values(snapshot, families.RELOAD_SUCCESSFUL) == {(): 0}
    assert values(snapshot, families.RELOAD_TIMESTAMP) == {(): 1_700_000_000.5}
    assert values(snapshot, families.RELOADS) == {("success",): 3, ("failure",): 1}
    assert values(snapshot, families.LOG_DROPPED) == {(): 7}


def test_a_rule_that_serves_and_was_never_hit_shows_0() -> None:
    """So that an alert can find rules that nothing reaches."""
    metrics = Metrics()
    metrics.serving([("web", "users"), ("web", "default")])
    record_in(metrics, forwarded())

    assert values(metrics.snapshot(LiveState()), families.RULE_LAST_HIT) == {
        ("web", "users"): 1_700_000_000.25,
        ("web", "default"): 0.0,
    }


def test_a_long_request_does_not_set_the_last_hit_back() -> None:
    snapshot = counted(forwarded(started_at=2000.0), forwarded(started_at=1000.0))

    assert values(snapshot, families.RULE_LAST_HIT) == {("web", "users"): 2000.0}


def test_counters_of_a_removed_rule_stay_and_go_on_when_it_comes_back() -> None:
    metrics = Metrics()
    metrics.serving([("web", "users")])
    record_in(metrics, forwarded())
    metrics.serving([("web", "default")])
    assert values(metrics.snapshot(LiveState()), families.REQUESTS) == {("web", "users", "users", "GET", "200"): 1}

    metrics.serving([("web", "users")])
    record_in(metrics, forwarded())

    assert values(metrics.snapshot(LiveState()), families.REQUESTS) == {("web", "users", "users", "GET", "200"): 2}


def test_ever_new_rule_names_do_not_pile_up() -> None:
    """The ones gone longest are forgotten; sums without a rule among their labels keep what they counted."""
    metrics = Metrics(retained=3)
    for number in range(20):
        rule = f"rule-{number}"
        metrics.serving([("web", rule)])
        record_in(metrics, forwarded(rule=rule, status=503, target_status=0, head_at=0.0, reason="Target.None"))
    record_in(metrics, refused())
    metrics.serving([("web", "rule-19")])

    snapshot = metrics.snapshot(LiveState())
    rules = {labels[1] for labels in values(snapshot, families.REQUESTS)}
    assert {"rule-16", "rule-17", "rule-18", "rule-19", ""} == rules
    assert values(snapshot, families.ELB_ERRORS)["503", "Target.None"] == 20
    assert sum(distributions(snapshot, families.OVERHEAD)["web",][0]) == 21


def test_a_snapshot_survives_json() -> None:
    metrics = Metrics()
    record_in(metrics, forwarded())
    snapshot = metrics.snapshot(LIVE)

    assert snapshot == json.loads(json.dumps(snapshot))


def test_a_snapshot_does_not_change_afterwards() -> None:
    metrics = Metrics()
    record_in(metrics, forwarded())
    snapshot = metrics.snapshot(LIVE)
    before = json.dumps(snapshot)
    record_in(metrics, forwarded())

    assert before == json.dumps(snapshot)


def test_two_workers_are_summed_and_their_gauges_joined() -> None:
    workers = []
    for healthy, successful, hit in ((True, True, 1000.0), (False, False, 2000.0)):
        metrics = Metrics()
        record_in(metrics, forwarded(started_at=hit))
        live = LiveState(
            groups={"users": [("10.0.0.1:8000", healthy, 2)]},
            weights={("web", "users", "users"): 10},
            reload=ReloadState(successful=successful, timestamp=hit, counts={"success": 1}),
        )
        workers.append(metrics.snapshot(live))

    merged = merge(workers)

    assert values(merged, families.REQUESTS)["web", "users", "users", "GET", "200"] == 2
    counts, total = distributions(merged, families.REQUEST_DURATION)["web", "users", "users"]
    assert (2, pytest.approx(0.044)) == (sum(counts), total)
    assert values(merged, families.IN_FLIGHT) == {("users",): 4}
    assert values(merged, families.TARGET_HEALTHY) == {("users", "10.0.0.1:8000"): 0}
    assert values(merged, families.RULE_WEIGHT) == {("web", "users", "users"): 10}
    assert values(merged, families.RULE_LAST_HIT) == {("web", "users"): 2000.0}
    assert values(merged, families.RELOAD_SUCCESSFUL) == {(): 0}
    assert values(merged, families.RELOAD_TIMESTAMP) == {(): 2000.0}


def test_merging_leaves_its_input_alone() -> None:
    one, other = counted(forwarded()), counted(forwarded())
    before = json.dumps(one)
    merge([one, other])

    assert before == json.dumps(one)


@given(st.lists(st.sampled_from(["request", "refusal", "replace a worker"]), max_size=30), st.integers(1, 3))
def test_no_sum_goes_back_when_a_worker_is_replaced(events: list[str], workers: int) -> None:
    """The supervisor keeps what remains of a worker that ended among the snapshots that it merges."""
    running = [Metrics() for _ in range(workers)]
    ended = empty()
    last = merge([])
    for number, event in enumerate(events):
        worker = running[number % workers]
        if event == "request":
            record_in(worker, forwarded())
        elif event == "refusal":
            record_in(worker, refused())
        else:
            ended = merge([ended, remains(worker.snapshot(LIVE))])
            running[number % workers] = Metrics()
        now = merge([ended, *(metrics.snapshot(LIVE) for metrics in running)])
        for family in families.FAMILIES:
            if family.kind == "counter":
                assert all(values(now, family)[key] >= value for key, value in values(last, family).items())
            elif family.kind == "histogram":
                for key, (counts, total) in distributions(last, family).items():
                    now_counts, now_total = distributions(now, family)[key]
                    assert all(a >= b for a, b in zip(now_counts, counts, strict=True))
                    assert now_total >= total - 1e-9
        last = now


def test_an_ended_worker_leaves_no_gauge_of_its_moment() -> None:
    metrics = Metrics()
    record_in(metrics, forwarded())
    left = remains(metrics.snapshot(LIVE))

    assert values(left, families.REQUESTS)
    assert values(left, families.RULE_LAST_HIT)
    for family in (
        families.IN_FLIGHT,
        families.TARGET_HEALTHY,
        families.RULE_WEIGHT,
        families.RELOAD_SUCCESSFUL,
    ):
        assert not values(left, family)
