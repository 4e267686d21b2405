"""The parts of a target's time that it reports itself (W3C Server Timing)."""

from __future__ import annotations

import re
from typing import Final

MAX_BYTES: Final = 2048
_DURATION: Final = re.compile(rb';\s*dur\s*=\s*"?([0-9]{1,9}(?:\.[0-9]{1,9})?)"?')
_DATABASE: Final = frozenset((b"db", b"database", b"sql", b"sql.active_record"))
_CPU: Final = frozenset((b"cpu", b"process-cpu"))


def server_timing(value: bytes) -> tuple[float, float]:
    """Seconds in the database and seconds of CPU: the sums of `db;dur=12.3` and of `cpu;dur=4`; 0.0 if not told.

    Durations are milliseconds. What is not understood is left out.
    """
    database = cpu = 0.0
    for metric in value[:MAX_BYTES].split(b","):
        name, semicolon, parameters = metric.partition(b";")
        name = name.strip().lower()
        if name in _DATABASE or name in _CPU:
            found = _DURATION.search(semicolon + parameters)
            if found is not None:
                seconds = float(found[1]) / 1000
                if name in _CPU:
                    cpu += seconds
                else:
                    database += seconds
    return database, cpu
