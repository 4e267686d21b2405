"""Logs on this machine to a workload, with what could not be read."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from proxy.carveout.logs import queries
from proxy.carveout.logs.detect import detect, named
from proxy.carveout.logs.duck import DuckEngine
from proxy.carveout.logs.files import LogFile, find, first_lines, line_numbers
from proxy.carveout.logs.formats import JSON, Format
from proxy.carveout.logs.har import is_har, to_json_lines
from proxy.carveout.logs.measure import Overview, Settings, measure, overview
from proxy.carveout.logs.names import Naming
from proxy.carveout.logs.outcome import SHOWN_BAD_LINES, BadLine, Progress, Reading
from proxy.carveout.logs.problems import LogError


def read_files(
    sources: Sequence[str],
    naming: Naming,
    settings: Settings,
    *,
    format_text: str = "",
    memory: str = "1GB",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Read files and folders of them into a workload.

    Args:
        format_text: A format's name, or a log_format or LogFormat string; empty to tell it from each file.
        memory: What the engine may take; what is more goes to a folder for temporary files (`TMPDIR`).

    Raises:
        LogError: There is nothing to read, or nothing can be read.
    """
    progress = progress or Progress()
    files = find(sources)
    with tempfile.TemporaryDirectory(prefix="strangler-logs-") as folder:
        by_format, notes = _sort(files, format_text, Path(folder))
        engine = DuckEngine(Path(folder), memory=memory, threads=threads)
        try:
            progress.begin(sum(file.size for alike in by_format.values() for file in alike))
            for known, alike in by_format.items():
                engine.load(alike, known, progress.read)
            engine.define("requests", queries.REQUESTS)
            seen = overview(engine)
            bad = _bad_lines(engine, [file for alike in by_format.values() for file in alike], seen)
            return Reading(
                workload=measure(engine, naming, settings, seen, progress.step),
                lines=seen.lines + engine.rejected,
                bad_count=seen.lines - seen.told + engine.rejected,
                unasked=seen.told - seen.asked,
                bad=bad,
                notes=notes + engine.notes,
                formats=sorted({known.name for known in by_format}),
            )
        finally:
            engine.close()


def _sort(files: Sequence[LogFile], format_text: str, folder: Path) -> tuple[dict[Format, list[LogFile]], list[str]]:
    """Files by format; notes about those of none, unless it is all of them."""
    by_format: dict[Format, list[LogFile]] = {}
    errors: list[LogError] = []
    given = None if format_text in ("", "har") else named(format_text)
    for number, file in enumerate(files):
        try:
            lines = [] if given else first_lines(file)
            if given:
                by_format.setdefault(given, []).append(file)
            elif format_text == "har" or is_har("\n".join(lines[:50])):
                into = folder / f"har-{number}"
                into.mkdir()
                converted = to_json_lines(file, into)
                by_format.setdefault(JSON, []).append(converted)
            else:
                found = detect(lines, str(file.path))
                by_format.setdefault(found, []).append(file)
        except LogError as error:
            errors.append(error)
    if not by_format:
        raise errors[0]
    return by_format, [f"{error}; left out" for error in errors]


def _bad_lines(engine: DuckEngine, files: Sequence[LogFile], seen: Overview) -> list[BadLine]:
    """The first few bad lines with their numbers, which the engine does not know: files are looked through again."""
    found = [BadLine(file, number, why) for file, number, why in engine.bad[:SHOWN_BAD_LINES]]
    if seen.told < seen.lines:
        by_path = {str(file.path): file for file in files}
        unread = list(engine.rows(queries.BAD_LINES.format(limit=SHOWN_BAD_LINES)))
        for path in {path for path, _ in unread}:
            lines = [line for where, line in unread if where == path]
            numbers = line_numbers(by_path[path], lines) if path in by_path else {}
            found += [BadLine(path, numbers.get(line, 0), line[:200]) for line in lines]
    return sorted(found, key=lambda bad: (bad.file, bad.number))[:SHOWN_BAD_LINES]
