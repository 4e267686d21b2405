"""Logs that are too many for this machine to a workload: read where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.carveout.logs import queries
from proxy.carveout.logs.athena import AthenaEngine, Client
from proxy.carveout.logs.athena_table import create_table, table_for
from proxy.carveout.logs.detect import detect, named
from proxy.carveout.logs.measure import Engine, Settings, measure, overview
from proxy.carveout.logs.names import Naming
from proxy.carveout.logs.outcome import SHOWN_BAD_LINES, BadLine, Progress, Reading
from proxy.carveout.logs.problems import LogError

_SHOWN_CHARACTERS: Final = 200


def read_with_spark(
    sources: Sequence[str],
    naming: Naming,
    settings: Settings,
    *,
    format_text: str = "",
    master: str = "",
    progress: Progress | None = None,
) -> Reading:
    """Read with Spark whatever it can reach: files, folders, `s3a://...`.

    Args:
        master: Where to run (`local[*]`, `spark://...`); empty for the session that there is.

    Raises:
        LogError: Spark does not start or cannot read the sources, or they have no format that it can read.
    """
    from proxy.carveout.logs.spark import SparkEngine, first_lines, open_session

    progress = progress or Progress()
    progress.step("starting Spark")
    session = open_session(master)
    known = named(format_text) if format_text else detect(first_lines(session, sources), ", ".join(sources))
    progress.step("reading")
    return _read(SparkEngine(session, sources, known), naming, settings, known.name, progress)


def read_with_athena(
    client: Client,
    location: str,
    naming: Naming,
    settings: Settings,
    *,
    table: str = "",
    output: str = "",
    work_group: str = "",
    progress: Progress | None = None,
) -> Reading:
    """Read the load balancer's logs in S3 with Athena.

    Args:
        location: `s3://...`; empty if there is a table already.
        table: The table of the logs, with the columns that AWS documents; empty to define one for `location`.

    Raises:
        LogError: There is neither, or Athena refuses, with its reason.
    """
    progress = progress or Progress()
    if not table and not location:
        raise LogError("name the logs with --from s3://..., or a table of them with --athena-table")
    engine = AthenaEngine(client, table or table_for(location), output=output, work_group=work_group)
    if not table:
        engine.run(create_table(table_for(location), location))
    progress.step("reading")
    reading = _read(engine, naming, settings, "alb", progress, shows_lines=False)
    reading.notes.append(f"Athena scanned {engine.scanned_bytes} bytes")
    return reading


def _read(
    engine: Engine,
    naming: Naming,
    settings: Settings,
    format_name: str,
    progress: Progress,
    *,
    shows_lines: bool = True,
) -> Reading:
    seen = overview(engine)
    bad_count = seen.lines - seen.told
    bad = engine.rows(queries.BAD_LINES.format(limit=SHOWN_BAD_LINES)) if bad_count and shows_lines else iter(())
    return Reading(
        workload=measure(engine, naming, settings, seen, progress.step),
        lines=seen.lines,
        bad_count=bad_count,
        unasked=seen.told - seen.asked,
        bad=[BadLine(file, 0, line[:_SHOWN_CHARACTERS]) for file, line in bad if line is not None],
        formats=[format_name],
    )
