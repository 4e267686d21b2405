"""What docs/transactions.md says of naming stays true: the same measurement, on less traffic."""

from __future__ import annotations

import pytest

from bench.naming import MIN_SHARE, ROUTES, Count, measure, recovered
from bench.route_traffic import Request, read_routes, traffic


@pytest.mark.parametrize("routes", sorted(path.stem for path in ROUTES.glob("*.txt")))
def test_operations_are_recovered_with_few_names(routes: str, capsys: pytest.CaptureFixture[str]) -> None:
    share, names = measure(ROUTES / f"{routes}.txt", 12_000, 5, False)
    assert share >= 0.95, capsys.readouterr().out
    assert names <= 2


def test_traffic_is_the_same_for_the_same_seed() -> None:
    routes = read_routes(ROUTES / "shop.txt")
    assert list(traffic(routes, 200, seed=3)) == list(traffic(routes, 200, seed=3))
    assert list(traffic(routes, 200, seed=3)) != list(traffic(routes, 200, seed=4))


def test_an_operation_whose_name_is_shared_is_not_recovered() -> None:
    """The measure can fail: two operations under one given name are none."""
    count = Count()
    for number in range(200):
        count.take(Request("GET /a/{id}", "GET", f"/a/{number}", 200, number))
        count.take(Request("GET /a/{other}", "GET", f"/a/{number + 1000}", 200, number))
    count.end()
    good, bad = recovered(count.counts)
    assert (good, len(bad)) == ([], 2)
    assert MIN_SHARE > 0.5
