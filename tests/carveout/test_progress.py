"""The burn-down: what a point holds, what a restart and years leave, what is ready to delete."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from proxy.carveout.progress import (
    DAY,
    FILE_NAME,
    MOST_TRANSACTIONS,
    Ledger,
    Point,
    Totals,
    hits_between,
    open_ledger,
    point_between,
    totals,
)
from proxy.carveout.progress_keeper import ProgressKeeper
from proxy.observe import families
from proxy.observe.snapshot import Snapshot, empty

NOW = 1_700_000_000.0


def point(at: float, *, seconds: float = 60.0, monolith: int = 10, moved: int = 5) -> Point:
    return Point(at, seconds, monolith, moved, monolith * 0.5, moved * 0.1)


def snapshot(**groups: tuple[int, float]) -> Snapshot:
    """Requests and seconds by target group, each of two rules."""
    found = empty()
    found["values"][families.ROUTED_REQUESTS.name] = [
        {"labels": ["web", rule, group], "value": requests / 2}
        for group, (requests, _) in groups.items()
        for rule in ("one", "two")
    ]
    found["distributions"][families.TARGET_RESPONSE_DURATION.name] = [
        {"labels": [rule, group], "counts": [], "sum": seconds / 2}
        for group, (_, seconds) in groups.items()
        for rule in ("one", "two")
    ]
    found["values"][families.TRANSACTION_REQUESTS.name] = [
        {"labels": ["GET /a", group, code], "value": requests / 2}
        for group, (requests, _) in groups.items()
        for code in ("2xx", "4xx")
    ]
    return found


def test_totals_are_sums_over_rules() -> None:
    assert totals(snapshot(monolith=(10, 3.0), users=(4, 0.5))) == Totals(
        {"monolith": 10, "users": 4},
        {"monolith": 3.0, "users": 0.5},
        {("GET /a", "monolith"): 10, ("GET /a", "users"): 4},
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({}, {"monolith": (10, 5.0), "users": (5, 1.0)}, (10, 5, 5.0, 1.0), id="the first point"),
        pytest.param(
            {"monolith": (10, 5.0)}, {"monolith": (12, 6.0), "users": (3, 1.0)}, (2, 3, 1.0, 1.0), id="what was added"
        ),
        pytest.param({"monolith": (10, 5.0)}, {"monolith": (3, 1.0)}, (3, 0, 1.0, 0.0), id="a sum that began anew"),
    ],
)
def test_a_point_is_what_came_since(
    before: dict[str, tuple[int, float]], after: dict[str, tuple[int, float]], expected: tuple[float, ...]
) -> None:
    found = point_between(totals(snapshot(**before)), totals(snapshot(**after)), ["monolith"], NOW, 60.0)

    assert found == Point(NOW, 60.0, *expected)  # type: ignore[arg-type]


def test_points_and_hits_survive_a_restart(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "new" / "folder")
    ledger.record(point(NOW), {"GET /a": NOW - 5})
    ledger.close()

    again = open_ledger(tmp_path / "new" / "folder")

    assert again.points() == [point(NOW)]
    assert again.ready_to_delete(0.0, NOW + 1) == [{"transaction": "GET /a", "last_hit": NOW - 5, "days": 0.0}]
    again.close()


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database at all, but long enough to be looked at" * 20)

    ledger = open_ledger(tmp_path)
    ledger.record(point(NOW), {})

    assert len(ledger.points()) == 1
    assert (tmp_path / FILE_NAME).with_suffix(".broken").exists()
    assert "begun anew" in caplog.text
    ledger.close()


def test_where_nothing_can_be_written_it_is_kept_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")

    ledger = open_ledger(tmp_path / "file" / "folder")
    ledger.record(point(NOW), {})

    assert len(ledger.points()) == 1
    assert "not kept over a restart" in caplog.text
    ledger.close()


def test_old_points_become_coarser_and_lose_nothing(tmp_path: Path) -> None:
    """Three days of minutes: a day of minutes, and 10 minutes each before."""
    ledger = Ledger(None)
    minutes = 3 * 1440
    with ledger._connection as connection:
        connection.executemany(
            "INSERT INTO point VALUES (?, 60, 10, 5, 5, 0.5)", [(NOW + 60 * minute,) for minute in range(minutes - 1)]
        )
    ledger.record(point(NOW + 60 * (minutes - 1)), {})

    points = ledger.points()

    assert 1440 + 2 * 144 <= len(points) <= 1440 + 2 * 144 + 12
    assert sum(one.monolith_requests for one in points) == 10 * minutes
    assert sum(one.moved_requests for one in points) == 5 * minutes
    assert sum(one.seconds for one in points) == 60 * minutes
    ledger.close()


def test_years_are_bounded() -> None:
    ledger = Ledger(None)
    hours = 3 * 365 * 24
    with ledger._connection as connection:
        connection.executemany(
            "INSERT INTO point VALUES (?, 3600, 1, 1, 1, 1)", [(NOW + 3600 * hour,) for hour in range(hours - 1)]
        )
    ledger.record(point(NOW + 3600 * (hours - 1)), {})

    assert len(ledger.points()) < 365 * 24 + 2 * 365 + 30
    ledger.close()


def test_ready_to_delete_needs_days_in_which_the_gateway_ran() -> None:
    """Ten days ago, but the gateway ran on three of them only: no proof of silence."""
    ledger = Ledger(None)
    ledger.record(point(NOW - 10 * DAY), {"GET /old": NOW - 10 * DAY, "GET /new": NOW - DAY})
    for day in (3, 2, 1):
        ledger.record(point(NOW - (3 - day) * DAY, seconds=DAY), {})

    assert ledger.ready_to_delete(7.0, NOW) == []
    assert [entry["transaction"] for entry in ledger.ready_to_delete(3.0, NOW)] == ["GET /old"]
    ledger.record(point(NOW + 1), {"GET /old": NOW + 1})
    assert ledger.ready_to_delete(3.0, NOW + 2) == []
    ledger.close()


def test_a_hit_never_goes_back_and_names_are_bounded() -> None:
    ledger = Ledger(None)
    ledger.record(point(NOW), {"GET /a": NOW})
    ledger.record(point(NOW + 1), {"GET /a": NOW - 100})
    assert ledger.ready_to_delete(0.0, NOW + 1)[0]["last_hit"] == NOW

    ledger.record(point(NOW + 2), {f"GET /{index}": NOW + index for index in range(1, MOST_TRANSACTIONS + 50)})
    names = [entry["transaction"] for entry in ledger.ready_to_delete(0.0, NOW + 10 * MOST_TRANSACTIONS)]
    assert len(names) == MOST_TRANSACTIONS
    assert "GET /a" not in names
    ledger.close()


def test_hits_are_the_monoliths_since_the_last_point() -> None:
    before = Totals({}, {}, {("GET /a", "monolith"): 5, ("GET /b", "monolith"): 5})
    after = Totals(
        {},
        {},
        {
            ("GET /a", "monolith"): 6,
            ("GET /b", "monolith"): 5,
            ("GET /new", "monolith"): 1,
            ("GET /a", "users"): 9,
            ("{other}", "monolith"): 3,
        },
    )

    assert hits_between(before, after, ["monolith"], NOW) == {"GET /a": NOW, "GET /new": NOW}


class Source:
    """What a gateway would count."""

    def __init__(self) -> None:
        self.now = NOW
        self.set_by = 0.0
        self.counted = snapshot(monolith=(10, 5.0))

    async def snapshot(self) -> Snapshot:
        return self.counted

    def keeper(self, ledger: Ledger) -> ProgressKeeper:
        return ProgressKeeper(
            ledger, self.snapshot, lambda: ["monolith"], lambda: self.now + self.set_by, lambda: self.now
        )


def test_the_keeper_writes_what_came_and_the_rest_when_it_stops(tmp_path: Path) -> None:
    source = Source()

    async def run() -> None:
        keeper = source.keeper(open_ledger(tmp_path))
        keeper.start()
        source.now += 60
        await keeper.note()
        source.now += 30
        source.counted = snapshot(monolith=(14, 6.0), users=(2, 0.5))
        document = await keeper.document(0.0)
        assert len(document["points"]) == 1
        await keeper.stop()

    asyncio.run(run())
    ledger = open_ledger(tmp_path)
    assert ledger.points() == [Point(NOW + 60, 60.0, 10, 0, 5.0, 0.0), Point(NOW + 90, 30.0, 4, 2, 1.0, 0.5)]
    ledger.close()


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_is_set_is_no_time_that_the_gateway_ran(days: int) -> None:
    """Else a clock that is put right would make a year of silence of what was asked for a minute ago."""
    source = Source()
    ledger = Ledger(None)

    async def run() -> None:
        keeper = source.keeper(ledger)
        source.now += 60
        source.set_by = days * DAY
        await keeper.note()

    asyncio.run(run())
    assert [point.seconds for point in ledger.points()] == [60.0]
    ledger.close()


def test_a_disk_that_fails_costs_a_point_and_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    ledger = Ledger(None)
    record = ledger.record

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def run() -> None:
        keeper = source.keeper(ledger)
        source.now += 60
        monkeypatch.setattr(ledger, "record", fail)
        await keeper.note()
        monkeypatch.setattr(ledger, "record", record)
        source.now += 60
        await keeper.note()

    asyncio.run(run())
    assert ledger.points() == [Point(NOW + 120, 120.0, 10, 0, 5.0, 0.0)]
    ledger.close()
