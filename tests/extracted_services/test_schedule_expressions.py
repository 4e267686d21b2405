"""EventBridge Scheduler's expressions, in a time zone (EventBridge guide; aws-croniter)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from aws_croniter import AwsCroniter
from hypothesis import given
from hypothesis import strategies as st

from extracted_services.scheduler.expressions import ExpressionError, parse_expression

START = datetime(2026, 1, 1, tzinfo=UTC)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def due(expression: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    """The next instants on the clock of the zone, as text."""
    found = islice(parse_expression(expression, zone, START).after(instant(after)), count)
    return [each.astimezone(UTC).strftime("%Y-%m-%d %H:%M") for each in found]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        pytest.param(
            "cron(0 5 * * ? *)",
            "2026-01-01T05:00:00Z",
            ["2026-01-02 05:00", "2026-01-03 05:00"],
            id="every day at 5:00",
        ),
        pytest.param("cron(0 5 * * ? *)", "2026-01-01T04:59:59Z", ["2026-01-01 05:00"], id="a second before"),
        pytest.param("cron(15 10 ? * 6L *)", "2026-01-01T00:00:00Z", ["2026-01-30 10:15"], id="6L: last Friday"),
        pytest.param("cron(0 5 ? * FRIL *)", "2026-01-01T00:00:00Z", ["2026-01-30 05:00"], id="FRIL: last Friday"),
        pytest.param("cron(0 5 ? * 3#2 *)", "2026-01-01T00:00:00Z", ["2026-01-13 05:00"], id="3#2: second Tuesday"),
        pytest.param(
            "cron(0 5 ? * 2#5 *)",
            "2026-01-01T00:00:00Z",
            ["2026-03-30 05:00", "2026-06-29 05:00"],
            id="2#5: only in months with a fifth Monday",
        ),
        pytest.param("cron(0 5 ? * 1 *)", "2026-01-01T00:00:00Z", ["2026-01-04 05:00"], id="1 is Sunday"),
        pytest.param(
            "cron(0 5 ? * FRI-MON *)",
            "2026-01-01T00:00:00Z",
            ["2026-01-02 05:00", "2026-01-03 05:00", "2026-01-04 05:00", "2026-01-05 05:00", "2026-01-09 05:00"],
            id="FRI-MON wraps around",
        ),
        pytest.param(
            "cron(0 5 ? * L *)", "2026-01-01T00:00:00Z", ["2026-01-03 05:00", "2026-01-10 05:00"], id="? * L: Saturdays"
        ),
        pytest.param(
            "cron(0 5 L * ? *)", "2026-01-31T05:00:00Z", ["2026-02-28 05:00", "2026-03-31 05:00"], id="L: last day"
        ),
        pytest.param("cron(0 5 L-3 * ? *)", "2026-02-01T00:00:00Z", ["2026-02-25 05:00"], id="L-3: three days before"),
        pytest.param(
            "cron(0 5 L-30 2,3 ? *)", "2026-01-01T00:00:00Z", ["2026-03-01 05:00"], id="L-30: not in a short month"
        ),
        pytest.param(
            "cron(0 5 LW * ? *)",
            "2026-01-01T00:00:00Z",
            ["2026-01-30 05:00", "2026-02-27 05:00", "2026-03-31 05:00"],
            id="LW: last weekday",
        ),
        pytest.param(
            "cron(0 5 3W * ? *)",
            "2026-01-01T00:00:00Z",
            ["2026-01-02 05:00", "2026-02-03 05:00"],
            id="3W: nearest weekday to the 3rd",
        ),
        pytest.param(
            "cron(0 5 1W * ? *)",
            "2026-01-31T00:00:00Z",
            ["2026-02-02 05:00", "2026-03-02 05:00", "2026-04-01 05:00"],
            id="1W stays in its month",
        ),
        pytest.param(
            "cron(0 5 31W * ? *)",
            "2026-01-31T00:00:00Z",
            ["2026-02-27 05:00", "2026-03-31 05:00", "2026-04-30 05:00", "2026-05-29 05:00"],
            id="31W is not left out of short months",
        ),
        pytest.param(
            "cron(0 0 29 2 ? *)", "2096-03-01T00:00:00Z", ["2104-02-29 00:00"], id="29 February, eight years away"
        ),
        pytest.param("cron(0 5 31 4 ? *)", "2026-01-01T00:00:00Z", [], id="a day that never comes"),
        pytest.param("cron(0 5 * * ? 2025)", "2026-01-01T00:00:00Z", [], id="a year that is over"),
        pytest.param(
            "cron(0 5 1/10 * ? *)",
            "2026-01-01T06:00:00Z",
            ["2026-01-11 05:00", "2026-01-21 05:00", "2026-01-31 05:00", "2026-02-01 05:00"],
            id="1/10 begins at 1",
        ),
        pytest.param(
            "cron(0/20 8-9 ? JAN MON-FRI *)",
            "2026-01-02T09:20:00Z",
            ["2026-01-02 09:40", "2026-01-05 08:00", "2026-01-05 08:20"],
            id="steps, ranges and names",
        ),
        pytest.param(
            "rate(1 hour)",
            "2025-12-31T00:00:00Z",
            ["2026-01-01 00:00", "2026-01-01 01:00"],
            id="rate: first at the start",
        ),
        pytest.param("rate(90 minutes)", "2026-01-01T01:30:00Z", ["2026-01-01 03:00"], id="rate: strictly after"),
        pytest.param("rate(2 days)", "2026-01-04T00:00:00Z", ["2026-01-05 00:00"], id="rate: days"),
    ],
)
def test_when_it_is_due(expression: str, after: str, expected: list[str]) -> None:
    assert due(expression, after, len(expected) or 1) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        pytest.param(
            "cron(0 5 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            ["2026-03-28 04:00", "2026-03-29 03:00"],
            id="5:00 stays 5:00 when summer begins",
        ),
        pytest.param(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            ["2026-03-28 01:30", "2026-03-30 00:30"],
            id="2:30 does not exist on 29 March, and does not run",
        ),
        pytest.param(
            "cron(30 2 * * ? *)",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            ["2026-10-25 00:30", "2026-10-26 01:30"],
            id="2:30 comes twice on 25 October, and runs once",
        ),
        pytest.param(
            "cron(0/30 * * * ? *)",
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            ["2026-10-25 02:00", "2026-10-25 02:30"],
            id="between the first 2:30 and 3:00 lies an hour and a half",
        ),
        pytest.param(
            "cron(0 0 * * ? *)",
            "America/Santiago",
            "2026-09-05T12:00:00Z",
            ["2026-09-07 03:00"],
            id="a day without a midnight",
        ),
        pytest.param("cron(0 5 * * ? *)", "Asia/Kathmandu", "2026-01-01T00:00:00Z", ["2026-01-01 23:15"], id="+05:45"),
        pytest.param(
            "rate(1 hour)",
            "Europe/Berlin",
            "2026-03-29T00:30:00Z",
            ["2026-03-29 01:00", "2026-03-29 02:00"],
            id="a rate counts real time",
        ),
    ],
)
def test_in_a_time_zone(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert due(expression, after, len(expected), zone) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "said"),
    [
        pytest.param("banana", "UTC", "'banana' is not a schedule expression", id="no expression"),
        pytest.param("cron(0 5 * * ?)", "UTC", "6 required, 5 provided", id="five fields"),
        pytest.param("cron(0 5 * * * *)", "UTC", "Invalid combination", id="two stars"),
        pytest.param("cron(0 5 ? * ? *)", "UTC", "Invalid combination", id="two question marks"),
        pytest.param("cron(0 5 1 * MON *)", "UTC", "Invalid combination", id="both days"),
        pytest.param("cron(0 24 * * ? *)", "UTC", "hour value '24'", id="hour 24"),
        pytest.param("cron(60 5 * * ? *)", "UTC", "minute value '60'", id="minute 60"),
        pytest.param("cron(0 5 ? * 6#6 *)", "UTC", "day-of-week value '6#6'", id="a sixth Friday"),
        pytest.param("cron(0 5 ? * 0 *)", "UTC", "day-of-week value '0'", id="Unix's Sunday"),
        pytest.param("cron(0 5 ? * LW *)", "UTC", "day-of-week value", id="LW as a day of the week"),
        pytest.param("cron(0 5 ? * L-2 *)", "UTC", "L-n is a day of the month", id="L-2 as a day of the week"),
        pytest.param("cron(0 5 LW * MON *)", "UTC", "Invalid combination", id="LW and a day of the week"),
        pytest.param("cron(0/0 5 * * ? *)", "UTC", "step must be positive", id="a step of nothing"),
        pytest.param("cron(0 5 * * ? 1969)", "UTC", "year value '1969'", id="before 1970"),
        pytest.param("rate(0 minutes)", "UTC", "from 1 minute", id="rate of nothing"),
        pytest.param("rate(999999999 days)", "UTC", "from 1 minute", id="rate of millennia"),
        pytest.param("rate(5 seconds)", "UTC", "not a schedule expression", id="finer than a minute"),
        pytest.param("cron(0 5 * * ? *)", "Mars/Olympus", "'Mars/Olympus' is not a time zone", id="no zone"),
        pytest.param("cron(0 5 * * ? *)", "../etc/passwd", "is not a time zone", id="a path"),
    ],
)
def test_what_is_refused(expression: str, zone: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=said.replace("(", r"\(")):
        parse_expression(expression, zone, START)


FIELDS = st.tuples(
    st.sampled_from(["0", "59", "*/17", "5-8,40"]),
    st.sampled_from(["0", "23", "*", "2/9", "22-1"]),
    st.sampled_from(
        ["* {} ?", "1,15,31 {} ?", "L {} ?", "L-5 {} ?", "15W {} ?", "? {} MON-FRI", "? {} 6L", "? {} 4#3"]
    ),
    st.sampled_from(["*", "1-3", "FEB", "6/2"]),
    st.sampled_from(["*", "2024-2030", "2027"]),
)


@given(FIELDS, st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)))
def test_it_agrees_with_the_library_where_that_is_right(fields: tuple[str, ...], after: datetime) -> None:
    """aws-croniter's own search is the oracle for all that it knows."""
    minutes, hours, days, month, years = fields
    expression = f"{minutes} {hours} {days.format(month)} {years}"
    after = after.replace(tzinfo=UTC)

    oracle = [each for each in AwsCroniter(expression).get_next(after, 4) if each]

    ours = list(islice(parse_expression(f"cron({expression})", "UTC", START).after(after), len(oracle)))
    assert ours == oracle


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 12, 31)), st.sampled_from(["Europe/Berlin", "America/St_Johns"])
)
def test_instants_ascend_and_show_the_local_time(after: datetime, zone: str) -> None:
    since = after.replace(tzinfo=UTC)
    found = list(islice(parse_expression("cron(10/25 * * * ? *)", zone, START).after(since), 12))

    assert all(one < other for one, other in zip([since, *found], found, strict=False))
    assert found[0] - since <= timedelta(hours=2)
