"""When a schedule is due: EventBridge Scheduler's `cron(...)` and `rate(...)`, in a time zone.

Pure functions of time. aws-croniter reads and checks a cron expression; which days of a month it means is decided here,
because the library's own search knows neither `LW` nor `L` as a day of the week, leaves `31W` out of short months and
gives up after a few years without a day (a 29 February may be eight years away).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aws_croniter import AwsCroniter

_CRON = re.compile(r"cron\((.*)\)")
_RATE = re.compile(r"rate\(([0-9]{1,9}) (minute|hour|day)s?\)")
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_LONGEST_PERIOD = timedelta(days=36_500)
_SATURDAY = 7
"""Of EventBridge, which counts from SUN = 1."""


class ExpressionError(ValueError):
    """Not a schedule expression; the message names the value and what is accepted."""


class Recurrence(Protocol):
    """A row of instants."""

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The due instants after this one (all UTC), ascending."""


def parse_expression(text: str, timezone: str, start: datetime) -> Recurrence:
    """Read a `schedule_expression`.

    Args:
        text: `cron(minutes hours day-of-month month day-of-week year)` or `rate(value unit)`.
        timezone: An IANA name; it has no meaning for a rate, which counts real time.
        start: The first instant of a rate (UTC), the scheduler's StartDate.

    Raises:
        ExpressionError
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{timezone!r} is not a time zone; give an IANA name such as Europe/Berlin, or UTC"
        raise ExpressionError(message) from None
    if match := _RATE.fullmatch(text):
        period = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        if not timedelta() < period <= _LONGEST_PERIOD:
            raise ExpressionError(f"{text!r}: the period must be from 1 minute to {_LONGEST_PERIOD.days} days")
        return Rate(start, period)
    if match := _CRON.fullmatch(text):
        return Cron(match[1], zone)
    wanted = "cron(minutes hours day-of-month month day-of-week year) or rate(value minutes|hours|days)"
    raise ExpressionError(f"{text!r} is not a schedule expression; write {wanted}")


@dataclass(frozen=True, slots=True)
class Rate:
    """Every `period` of real time, from `start` on: the first run is at the start (EventBridge guide)."""

    start: datetime
    period: timedelta

    def after(self, instant: datetime) -> Iterator[datetime]:
        due = self.start
        if instant >= self.start:
            due += ((instant - self.start) // self.period + 1) * self.period
        while True:
            yield due
            due += self.period


class Cron:
    """A cron expression on the clock of a time zone.

    A local time that is skipped in spring does not run, one that comes twice in autumn runs at its first
    (EventBridge guide).
    """

    def __init__(self, fields: str, zone: ZoneInfo) -> None:
        self._zone = zone
        self._last_weekday = re.fullmatch(r"\S+ \S+ LW \S+ \S+ \S+", fields) is not None
        if re.fullmatch(r"\S+ \S+ \S+ \S+ L-\S+ \S+", fields):
            raise ExpressionError(f"cron({fields}): L-n is a day of the month, not of the week")
        # The library has no LW; L in its place has the same rules for the other fields.
        known = fields.replace(" LW ", " L ") if self._last_weekday else fields
        try:
            self._parsed = AwsCroniter(known)
        except ValueError as error:
            raise ExpressionError(f"cron({fields}): {error}") from None

    def after(self, instant: datetime) -> Iterator[datetime]:
        local = instant.astimezone(self._zone).replace(tzinfo=None)
        for candidate in self._local_times(local.date()):
            due = candidate.replace(tzinfo=self._zone).astimezone(UTC)
            exists = due.astimezone(self._zone).replace(tzinfo=None) == candidate
            if exists and due > instant:
                yield due

    def days(self, year: int, month: int) -> Sequence[int]:
        """The days of this month on which it is due, ascending."""
        length = calendar.monthrange(year, month)[1]
        if self._last_weekday:
            return [_nearest_weekday(year, month, length)]
        if of_month := self._parsed.days_of_month:
            return _days_of_month(of_month, year, month, length)
        return _days_of_week(self._parsed.days_of_week, year, month, length)

    def _local_times(self, first: date) -> Iterator[datetime]:
        for year in self._parsed.years:
            for month in sorted(set(self._parsed.months)):
                if (year, month) < (first.year, first.month):
                    continue
                for day in self.days(year, month):
                    if date(year, month, day) < first:
                        continue
                    for hour in sorted(set(self._parsed.hours)):
                        for minute in sorted(set(self._parsed.minutes)):
                            yield datetime(year, month, day, hour, minute)


def _days_of_month(parsed: list[int | str], year: int, month: int, length: int) -> list[int]:
    match parsed:
        case ["L", int(before)]:
            return [length - before] if before < length else []
        case ["W", int(day)]:
            # 31W in a month of 30 days: the nearest weekday there is, not none (aws-croniter).
            return [_nearest_weekday(year, month, min(day, length))]
    return sorted({day for day in parsed if isinstance(day, int) and day <= length})


def _days_of_week(parsed: list[int | str], year: int, month: int, length: int) -> list[int]:
    by_weekday = {
        weekday: [day for day in range(1, length + 1) if _eventbridge_weekday(year, month, day) == weekday]
        for weekday in range(1, 8)
    }
    match parsed:
        case ["L", 0]:
            # The last day of the week, every week.
            return by_weekday[_SATURDAY]
        case ["L", int(weekday)]:
            return by_weekday[weekday][-1:]
        case ["#", int(weekday), int(number)]:
            return by_weekday[weekday][number - 1 : number]
    return sorted(day for weekday in {*parsed} for day in by_weekday[int(weekday)])


def _eventbridge_weekday(year: int, month: int, day: int) -> int:
    """SUN = 1 ... SAT = 7."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The Monday to Friday nearest to this day, in the same month."""
    length = calendar.monthrange(year, month)[1]
    match calendar.weekday(year, month, day):
        case calendar.SATURDAY:
            return day - 1 if day > 1 else day + 2
        case calendar.SUNDAY:
            return day + 1 if day < length else day - 2
    return day
