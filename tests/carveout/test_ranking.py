"""The ranking as a whole: order, parts, reasons, confidence, bundles, what remains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from workloads import transaction, workload

from proxy.carveout.ranking import Candidate, Ranking, rank
from proxy.carveout.ranking.bootstrap import grade, stability, state, window_weights
from proxy.carveout.ranking.bundles import find_bundles, resource_of
from proxy.carveout.ranking.reasons import is_sensitive
from proxy.carveout.workload import TransactionLoad, Workload

MONOLITH = ["monolith"]


def ranked(*transactions: TransactionLoad, **options: object) -> Ranking:
    return rank(workload(*transactions), monolith=MONOLITH, **options)  # type: ignore[arg-type]


def named(ranking: Ranking, name: str) -> Candidate:
    (found,) = (candidate for candidate in ranking.candidates if candidate.name == name)
    return found


def test_the_most_work_comes_first_and_not_the_most_requests() -> None:
    ranking = ranked(
        transaction("GET /popular", each=1000, mean=0.01),
        transaction("GET /slow", each=10, mean=4.0),
        transaction("GET /rare", each=1, mean=5.0),
    )

    assert [candidate.name for candidate in ranking.candidates] == ["GET /slow", "GET /popular", "GET /rare"]
    assert named(ranking, "GET /slow").share.value == pytest.approx(40 / 55)


def test_waiting_is_not_work() -> None:
    """In a queue everything takes long; what counts is what the workers did."""
    ranking = ranked(
        transaction("GET /fast", each=100, mean=3.0, work=0.01), transaction("GET /heavy", each=10, mean=4.0, work=1.0)
    )

    assert ranking.candidates[0].name == "GET /heavy"
    assert ranking.method == "worked"
    assert "waiting for other requests" in " ".join(named(ranking, "GET /fast").reasons)


def test_what_is_carved_out_already_is_no_candidate_but_progress() -> None:
    ranking = ranked(
        transaction("GET /a", each=30, mean=0.1), transaction("GET /users/{id}", each=70, mean=0.1, group="users")
    )

    assert [candidate.name for candidate in ranking.candidates] == ["GET /a"]
    assert ranking.candidates[0].share.value == 1.0
    assert ranking.remaining.request_share == pytest.approx(0.3)
    assert ranking.remaining.time_share == pytest.approx(0.3)


def test_writes_and_cookies_make_it_harder() -> None:
    ranking = ranked(
        transaction("GET /reads", each=100),
        transaction("POST /writes", each=100, writes=4800),
        transaction("GET /cookies", each=100, sets_cookies=4800),
        transaction("GET /streams", each=100, streams=4800),
    )

    eases = {candidate.name: candidate.ease for candidate in ranking.candidates}
    assert eases == {"GET /reads": 1.0, "POST /writes": 0.5, "GET /cookies": 0.5, "GET /streams": 0.5}
    assert ranking.candidates[0].name == "GET /reads"


def test_priority_is_benefit_times_ease_and_benefits_add_up() -> None:
    ranking = ranked(transaction("GET /a", mean=2.0, slow_seconds=100.0), transaction("POST /b", mean=0.5, writes=2000))

    assert sum(candidate.benefit for candidate in ranking.candidates) == pytest.approx(1.0)
    for candidate in ranking.candidates:
        assert candidate.priority == pytest.approx(candidate.benefit * candidate.ease)
        parts = candidate.benefit_parts
        assert candidate.benefit == pytest.approx(
            0.6 * parts["demand_share"] + 0.25 * parts["tail_pain_share"] + 0.15 * parts["relief_share"]
        )


@pytest.mark.parametrize(
    ("attributes", "sensitive", "expected"),
    [
        pytest.param({"mean": 1.5}, (), "Long response time: 1.5 s", id="long response time"),
        pytest.param({"request_bytes": 4800 * 2_000_000}, (), "Big payloads: 2.0 MB come with", id="uploads"),
        pytest.param({"response_bytes": 4800 * 300_000}, (), "Big payloads: 300 kB go out", id="downloads"),
        pytest.param({"response_bytes": 4800 * 300_000}, (), "Bandwidth: 100% of all bytes", id="bandwidth"),
        pytest.param({"mean": 1.0, "database_seconds": 4000.0}, (), "Heavy queries: 83%", id="reported queries"),
        pytest.param({"mean": 1.0, "response_bytes": 4800 * 900}, (), "Heavy queries, it seems", id="likely queries"),
        pytest.param({}, ["/candidate*"], "Sensitive data, as you say (GET /candidate/{id})", id="sensitive data"),
        pytest.param({"writes": 2400}, (), "Easy to move: 50% writes.", id="what makes it harder"),
        pytest.param({}, (), "Easy to move: only reads.", id="what makes it easy"),
    ],
)
def test_reasons_are_the_talks(attributes: dict[str, float], sensitive: list[str], expected: str) -> None:
    ranking = ranked(
        transaction("GET /candidate/{id}", **attributes),  # type: ignore[arg-type]
        transaction("GET /others", each=900, mean=0.05),
        sensitive=sensitive,
    )

    assert expected in " ".join(named(ranking, "GET /candidate/{id}").reasons)


def test_a_transaction_like_all_others_has_no_such_reason() -> None:
    ranking = ranked(transaction("GET /a", response_bytes=4800 * 900), transaction("GET /b", response_bytes=4800 * 900))

    assert ranking.candidates[0].reasons == (
        "50% of the monolith's work in 50% of its requests.",
        "Easy to move: only reads.",
    )


def test_heavy_cpu_is_found_from_one_number_a_window() -> None:
    """The mix changes from window to window, so the CPU of all tells whose it is."""
    draw = np.random.default_rng(0)
    burning, waiting = transaction("GET /burn"), transaction("GET /wait")
    cpu = []
    for index in range(48):
        for load in (burning, waiting):
            count = int(draw.integers(20, 200))
            load.windows[index].requests, load.windows[index].seconds = count, count * 0.2
            load.windows[index].worked_seconds = count * 0.2
        cpu.append(burning.windows[index].seconds * 0.9 + waiting.windows[index].seconds * 0.1 + 5.0)
    load = workload(burning, waiting)
    load.cpu_seconds["monolith"] = cpu

    ranking = rank(load, monolith=MONOLITH)

    assert ranking.candidates[0].name == "GET /burn"
    assert "Heavy CPU: 9" in " ".join(ranking.candidates[0].reasons)


@pytest.mark.parametrize(
    ("requests", "seconds", "windows", "expected"),
    [
        pytest.param(200, 86_400.0, 8, "ready", id="a day and 200 requests"),
        pytest.param(199, 86_400.0, 8, "collecting", id="too few requests"),
        pytest.param(200, 86_399.0, 8, "collecting", id="less than a day"),
        pytest.param(200, 86_400.0, 7, "collecting", id="in too few windows"),
    ],
)
def test_collecting_until_there_is_enough(requests: int, seconds: float, windows: int, expected: str) -> None:
    assert state(requests, seconds, windows) == expected


@pytest.mark.parametrize(
    ("share", "low", "high", "stable", "hours", "expected"),
    [
        pytest.param(0.3, 0.28, 0.32, 1.0, 24, "A", id="a day, stable, known closely"),
        pytest.param(0.3, 0.28, 0.32, 1.0, 23, "B", id="no whole day"),
        pytest.param(0.3, 0.28, 0.32, 0.9, 24, "B", id="less stable"),
        pytest.param(0.3, 0.2, 0.32, 1.0, 24, "B", id="known to a half"),
        pytest.param(0.3, 0.1, 0.32, 1.0, 24, "C", id="known to less"),
        pytest.param(0.3, 0.28, 0.32, 0.7, 24, "C", id="unstable"),
        pytest.param(0.3, 0.28, 0.32, 1.0, 0.9, "C", id="no hour"),
        pytest.param(0.0, 0.0, 0.0, 1.0, 24, "C", id="no work at all"),
    ],
)
def test_grades(share: float, low: float, high: float, stable: float, hours: float, expected: str) -> None:
    assert grade(share, low, high, stable, hours * 3600) == expected


def test_stability_is_about_the_top_or_its_own_place() -> None:
    ranks = np.array([1, 5, 6, 9])

    assert stability(ranks, 2) == 0.5
    assert stability(ranks, 6) == 0.75


def test_blocks_keep_neighbours_together() -> None:
    """A window that is drawn brings its neighbour along, but at the end of a block."""
    weights = window_weights(100, 60.0, seed=1)

    assert weights.shape == (100, 200)
    assert weights.sum(axis=0) == pytest.approx(100.0)
    following = np.roll(weights, -1, axis=0)
    assert np.corrcoef(weights.ravel(), following.ravel())[0, 1] > 0.7


def test_the_interval_holds_the_truth_nine_times_of_ten() -> None:
    """Of 40 workloads drawn from the same shares, not fewer than 30: nominal is 36."""
    held = 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        one, other = transaction("GET /one"), transaction("GET /other")
        for index in range(48):
            for load in (one, other):
                count = int(draw.poisson(100))
                load.windows[index].requests = count
                load.windows[index].seconds = load.windows[index].worked_seconds = count * 0.1
        share = named(ranked(one, other), "GET /one").share
        held += share.low <= 0.5 <= share.high
    assert held >= 30


def test_the_same_workload_gives_the_same_ranking() -> None:
    rows = [transaction(f"GET /r{index}", each=50 + index, mean=0.1) for index in range(20)]

    assert ranked(*rows) == ranked(*rows)


@pytest.mark.parametrize("windows", [0, 1])
def test_next_to_nothing_is_no_trouble(windows: int) -> None:
    empty = Workload(0.0, 60.0, windows, 1.0)

    ranking = rank(empty, monolith=MONOLITH)

    assert ranking.candidates == ()
    assert ranking.state == "collecting"
    one = rank(
        replace(empty, window_count=1, transactions=[transaction("GET /a", each=1, windows=1)]), monolith=MONOLITH
    )
    assert one.candidates[0].grade == "C"
    assert one.candidates[0].state == "collecting"


def test_names_without_a_path_count_but_are_no_candidates() -> None:
    ranking = ranked(transaction("{unmatched}", mean=1.0), transaction("GET /a", mean=1.0))

    assert [candidate.name for candidate in ranking.candidates] == ["GET /a"]
    assert ranking.candidates[0].share.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/orders/{id}/items", "/api/orders"),
        ("/v2/api/users", "/v2/api/users"),
        ("/search", "/search"),
        ("/{slug}", None),
        ("/api/{id}", None),
        ("/", None),
    ],
)
def test_the_resource_of_a_path(path: str, expected: str | None) -> None:
    assert resource_of(path) == expected


def bundled(*rows: TransactionLoad) -> list[set[str]]:
    return [{row.name for row in bundle.rows} for bundle in find_bundles(rows)]


def test_who_writes_what_others_read_moves_with_them() -> None:
    rows = [transaction(name) for name in ("GET /orders/{id}", "POST /orders", "GET /users/{id}", "GET /users")]

    assert bundled(*rows) == [{"GET /orders/{id}", "POST /orders"}]
    (bundle,) = find_bundles(rows)
    assert bundle.why == ("POST /orders writes what GET /orders/{id} reads",)


def test_what_sessions_do_in_a_row_moves_together() -> None:
    cart = transaction("GET /cart", neighbours={"POST /payments": 90, "GET /": 10})
    others = [
        transaction("POST /payments", neighbours={"GET /": 100}),
        transaction("GET /", neighbours={"GET /": 500, "GET /cart": 100, "GET /news": 400}),
        transaction("GET /news", neighbours={"GET /": 400}),
    ]

    assert {"GET /cart", "POST /payments"} in bundled(cart, *others)
    assert named(ranked(cart, *others), "GET /cart").ease_parts.session_crossing > 0.7
    (bundle,) = (bundle for bundle in ranked(cart, *others).bundles if "GET /cart" in bundle.transactions)
    assert bundle.ease_parts.session_crossing < 0.2


def test_a_chain_of_weak_ties_is_no_bundle() -> None:
    rows = [
        transaction(f"GET /page-{index}", neighbours={f"GET /page-{index + 1}": 45, "GET /": 55}) for index in range(8)
    ]

    assert bundled(*rows, transaction("GET /", neighbours={f"GET /page-{index}": 10 for index in range(8)})) == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("POST /payments", True),
        ("/payments", True),
        ("/pay*", True),
        ("*pay*", True),
        ("/pay", False),
        ("[P]OST /payments", False),
    ],
)
def test_what_the_user_calls_sensitive(pattern: str, expected: bool) -> None:
    assert is_sensitive("POST /payments", [pattern]) is expected
