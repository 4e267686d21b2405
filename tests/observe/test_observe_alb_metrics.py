"""The counts behind the load balancer's own metrics that no request carries (alb.md 10)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observe_records import forwarded, refused
from test_observe_metrics import counted, record_in, values

from proxy.observe import families
from proxy.observe.live import LiveState
from proxy.observe.metrics import Metrics
from proxy.observe.record import RequestRecord
from proxy.observe.snapshot import merge

ROUTE = ("web", "users", "users")


@pytest.mark.parametrize(
    ("record", "routed", "by_target", "fixed"),
    [
        pytest.param(forwarded(), {ROUTE: 1}, {(*ROUTE, "200"): 1}, {}, id="a target's 200"),
        pytest.param(
            forwarded(status=502, target_status=502), {ROUTE: 1}, {(*ROUTE, "502"): 1}, {}, id="a target's own 502"
        ),
        pytest.param(
            forwarded(status=502, target_status=0, head_at=0.0, reason="Target.ConnectionRefused"),
            {ROUTE: 1},
            {},
            {},
            id="a 502 for a target",
        ),
        pytest.param(
            forwarded(status=502, target_status=200, reason="Target.MalformedResponse"),
            {ROUTE: 1},
            {},
            {},
            id="a 502 in place of a target's 200",
        ),
        pytest.param(
            forwarded(reason="Target.ConnectionClosed"),
            {ROUTE: 1},
            {(*ROUTE, "200"): 1},
            {},
            id="a target's 200 that was cut short",
        ),
        pytest.param(
            forwarded(status=460, target_status=0, head_at=0.0, reason="Client.Closed"),
            {ROUTE: 1},
            {},
            {},
            id="a client that left",
        ),
        pytest.param(
            forwarded(status=503, target_status=0, head_at=0.0, target_id="", reason="Target.None"),
            {ROUTE: 0},
            {},
            {},
            id="no target could be chosen",
        ),
        pytest.param(
            forwarded(target_group="", target_id="", target_status=0, head_at=0.0, status=403),
            {},
            {},
            {("web", "users", "403"): 1},
            id="a fixed response",
        ),
        pytest.param(
            forwarded(target_group="", target_id="", target_status=0, head_at=0.0, status=302),
            {},
            {},
            {},
            id="a redirect",
        ),
        pytest.param(
            forwarded(
                target_group="", target_id="", target_status=0, head_at=0.0, status=507, reason="Redirect.TooLong"
            ),
            {},
            {},
            {},
            id="a redirect that is too long is no fixed response",
        ),
        pytest.param(refused(), {}, {}, {}, id="a malformed request"),
    ],
)
def test_who_answered(
    record: RequestRecord,
    routed: dict[tuple[str, ...], int],
    by_target: dict[tuple[str, ...], int],
    fixed: dict[tuple[str, ...], int],
) -> None:
    snapshot = counted(record)

    assert routed == values(snapshot, families.ROUTED_REQUESTS)
    assert by_target == values(snapshot, families.TARGET_RESPONSES)
    assert fixed == values(snapshot, families.FIXED_RESPONSES)


def evaluations(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return values(metrics.snapshot(LiveState()), families.RULE_EVALUATIONS)


def table(*rules: str, listener: str = "web") -> list[tuple[str, str]]:
    return [(listener, rule) for rule in (*rules, "default")]


@pytest.mark.parametrize(
    ("rule", "count"),
    [("a", 1), ("b", 2), ("c", 3), ("default", 3)],
    ids=["first rule", "second rule", "third rule", "the default rule is not counted"],
)
def test_a_request_costs_the_rules_that_were_tried(rule: str, count: int) -> None:
    metrics = Metrics()
    metrics.serving(table("a", "b", "c"))
    record_in(metrics, forwarded(rule=rule))

    assert evaluations(metrics) == {("web",): count}


def test_listeners_are_counted_apart() -> None:
    metrics = Metrics()
    metrics.serving([*table("a", listener="one"), *table("a", "b", listener="two")])
    record_in(metrics, forwarded(listener="one", rule="default"))
    record_in(metrics, forwarded(listener="two", rule="default"))

    assert evaluations(metrics) == {("one",): 1, ("two",): 2}


def test_a_request_that_never_reached_the_rules_costs_nothing() -> None:
    metrics = Metrics()
    metrics.serving(table("a"))
    record_in(metrics, refused())

    assert evaluations(metrics) == {("web",): 0}


def test_scraping_twice_counts_once() -> None:
    metrics = Metrics()
    metrics.serving(table("a", "b"))
    record_in(metrics, forwarded(rule="b"))

    assert evaluations(metrics) == evaluations(metrics) == {("web",): 2}


RULES = ["a", "b", "c", "d", "e"]


@given(
    st.lists(
        st.permutations(RULES).flatmap(lambda rules: st.integers(0, len(rules)).map(lambda size: tuple(rules[:size])))
        | st.integers(0, len(RULES)),
        max_size=40,
    ),
    st.booleans(),
)
def test_evaluations_equal_counting_each_request_when_it_came(
    events: Sequence[tuple[str, ...] | int], scrapes: bool
) -> None:
    """A tuple is a new table; a number is a request for the rule at that place, or for the default rule."""
    metrics = Metrics(retained=2)
    rules: tuple[str, ...] = ()
    metrics.serving(table())
    expected = 0
    for event in events:
        if isinstance(event, int):
            place = min(event, len(rules))
            expected += min(place + 1, len(rules))
            record_in(metrics, forwarded(rule=(*rules, "default")[place]))
        else:
            rules = event
            metrics.serving(table(*rules))
        if scrapes:
            assert evaluations(metrics).get(("web",), 0) == expected

    assert evaluations(metrics).get(("web",), 0) == expected


def test_attempts_to_connect_are_counted_by_their_result() -> None:
    metrics = Metrics()
    metrics.target_connection("users", "success")
    metrics.target_connection("users", "success")
    metrics.target_connection("users", "tls")

    snapshot = metrics.snapshot(LiveState())
    assert values(snapshot, families.TARGET_CONNECTIONS_OPENED) == {("users", "success"): 2, ("users", "tls"): 1}


def test_live_gauges() -> None:
    live = LiveState(
        client_connections=(3, 40),
        target_connections={"users": 5},
        target_states={("users", "healthy"): 2, ("users", "draining"): 1},
        fail_open={"users": False, "orders": True},
        connection_log_dropped=6,
    )
    snapshot = Metrics().snapshot(live)

    assert values(snapshot, families.CLIENT_CONNECTIONS) == {(): 3}
    assert values(snapshot, families.CLIENT_CONNECTIONS_OPENED) == {(): 40}
    assert values(snapshot, families.TARGET_CONNECTIONS) == {("users",): 5}
    assert values(snapshot, families.TARGETS) == {("users", "healthy"): 2, ("users", "draining"): 1}
    assert values(snapshot, families.FAIL_OPEN) == {("users",): 0, ("orders",): 1}
    assert values(snapshot, families.CONNECTION_LOG_DROPPED) == {(): 6}


def test_workers_see_the_same_targets_and_open_their_own_connections() -> None:
    live = LiveState(
        client_connections=(1, 2),
        target_connections={"users": 3},
        target_states={("users", "healthy"): 2},
        fail_open={"users": True},
    )
    merged = merge([Metrics().snapshot(live), Metrics().snapshot(live)])

    assert values(merged, families.TARGETS) == {("users", "healthy"): 2}
    assert values(merged, families.FAIL_OPEN) == {("users",): 1}
    assert values(merged, families.CLIENT_CONNECTIONS) == {(): 2}
    assert values(merged, families.CLIENT_CONNECTIONS_OPENED) == {(): 4}
    assert values(merged, families.TARGET_CONNECTIONS) == {("users",): 6}
