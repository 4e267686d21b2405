"""The logs that `--from` names, as a workload; what could not be read is told on standard error."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from proxy.carveout.logs.outcome import Progress, Reading
from proxy.carveout.logs.problems import LogError
from proxy.carveout.naming import Namer, given_templates
from proxy.carveout.workload import Workload
from proxy.cli.flags import UsageError
from proxy.cli.terminal import visible
from proxy.config.model import Config, TransactionsConfig

_ENGINES = ("duckdb", "spark", "athena")
_INSTALL = {
    "duckdb": "pip install 'strangler-fig[logs]'",
    "sqlglot": "pip install 'strangler-fig[logs]'",
    "pyspark": "pip install 'strangler-fig[logs,spark]'",
    "boto3": "pip install 'strangler-fig[logs,athena]'",
}


def add_log_arguments(parser: argparse._ActionsContainer) -> None:
    """The flags of reading logs."""
    add = parser.add_argument
    add("--from", metavar="LOG", nargs="+", action="extend", help="access logs: files, folders, or s3://... for Athena")
    add("--format", metavar="FORMAT", default="", help="alb, json, har, or a log_format or LogFormat string; else told")
    add("--engine", choices=_ENGINES, default="duckdb", help="what reads them")
    add("--objective", metavar="SECONDS", type=_positive, default=None, help="latency that is still good")
    add("--window", metavar="SECONDS", type=_positive, default=None, help="length of a window; by the log's length")
    add("--target-group", metavar="NAME", default="monolith", help="of lines that name none")
    add("--memory", metavar="SIZE", default="1GB", help="what DuckDB may take; the rest is on disk, in TMPDIR")
    add("--threads", metavar="N", type=int, default=None, help="of DuckDB; as many as there are cores")
    add("--spark-master", metavar="URL", default="", help="local[*], spark://...; else as spark-submit says")
    add("--athena-table", metavar="TABLE", default="", help="the logs' table, if there is one already")
    add("--athena-output", metavar="S3", default="", help="s3://... for results, unless the work group has a place")
    add("--athena-work-group", metavar="NAME", default="", help="work group to run in")


def read_logs(args: argparse.Namespace, config: Config | None) -> Workload | None:
    """The workload of the logs; None when none are named.

    Args:
        config: A table, for the names that it gives and for its latency objective.

    Raises:
        UsageError: They cannot be used, or what reads them is not installed.
    """
    sources: list[str] = getattr(args, "from") or []
    if not sources and not args.athena_table:
        return None
    started = time.monotonic()
    try:
        with _progress() as progress:
            reading = _read(args, config.transactions if config else TransactionsConfig(), sources, progress)
    except LogError as error:
        raise UsageError(visible(str(error))) from None
    except ModuleNotFoundError as error:
        remedy = _INSTALL.get((error.name or "").partition(".")[0])
        if remedy is None:
            raise
        raise UsageError(f"{error.name} is not installed: {remedy}") from None
    for line in told(reading, time.monotonic() - started):
        print(visible(line), file=sys.stderr)
    return reading.workload


def _read(args: argparse.Namespace, names: TransactionsConfig, sources: list[str], progress: Progress) -> Reading:
    from proxy.carveout.logs.measure import Settings

    settings = Settings(
        objective_seconds=args.objective or names.objective_seconds,
        window_seconds=args.window or 0,
        target_group=args.target_group,
        source=", ".join(sources) or args.athena_table,
    )
    naming = Namer(given_templates(names.given), limit=names.limit, distinct_clients=names.distinct_clients)
    if args.engine == "duckdb":
        from proxy.carveout.logs.reading import read_files

        return read_files(
            sources,
            naming,
            settings,
            format_text=args.format,
            memory=args.memory,
            threads=args.threads,
            progress=progress,
        )
    from proxy.carveout.logs import distributed

    if args.engine == "spark":
        return distributed.read_with_spark(
            sources, naming, settings, format_text=args.format, master=args.spark_master, progress=progress
        )
    if len(sources) > 1 or args.format not in ("", "alb"):
        raise UsageError("Athena reads one place with a load balancer's logs: --from s3://... and no --format")
    return distributed.read_with_athena(
        _athena(),
        sources[0] if sources else "",
        naming,
        settings,
        table=args.athena_table,
        output=args.athena_output,
        work_group=args.athena_work_group,
        progress=progress,
    )


def _athena() -> Any:
    """A client with the credentials, the region and the endpoint that any AWS tool would take."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("athena")
    except BotoCoreError as error:
        raise UsageError(f"Athena cannot be asked: {error}") from None


def told(reading: Reading, seconds: float) -> Iterator[str]:
    """What a person should know about a reading, line by line."""
    yield f"{reading.lines} lines ({', '.join(reading.formats)}) in {seconds:.1f} s"
    if reading.unasked:
        yield f"{reading.unasked} requests asked no target (redirects, fixed responses, refusals)"
    if reading.bad_count:
        lines = "1 line" if reading.bad_count == 1 else f"{reading.bad_count} lines"
        yield f"{lines} could not be read{':' if reading.bad else ''}"
    for bad in reading.bad:
        yield f"  {bad.file}:{bad.number or '?'}: {bad.text}"
    if reading.bad_count > len(reading.bad) > 0:
        yield f"  and {reading.bad_count - len(reading.bad)} more"
    yield from reading.notes


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    with _Bar() as bar:
        yield bar


class _Bar(Progress):
    def __init__(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.DownloadColumn(binary_units=True),
            progress.TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("looking at the files", total=None)

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def begin(self, total_bytes: int) -> None:
        self._bar.update(self._task, description="reading", total=total_bytes)

    def read(self, count: int) -> None:
        self._bar.advance(self._task, count)

    def step(self, what: str) -> None:
        self._bar.update(self._task, description=what, total=None)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
