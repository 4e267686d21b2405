"""The same queries on Spark: for logs that are too many for one machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from proxy.carveout.logs import queries
from proxy.carveout.logs.dialect import translate
from proxy.carveout.logs.formats import Format
from proxy.carveout.logs.names import Naming, case_expression
from proxy.carveout.logs.problems import LogError

_FIRST_LINES: Final = 200
_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.files.ignoreCorruptFiles": "true",
}
"""A short line has fewer words and a bad one no number: NULL, as in DuckDB, not an error. A gzip file that is cut short
is read as far as it goes."""


def open_session(master: str = "") -> SparkSession:
    """A session: the one that `spark-submit` or a notebook made, else one on `master` (`local[*]` if none is given).

    Raises:
        LogError: Spark does not start, for want of Java 17 or newer, say.
    """
    builder = SparkSession.builder.appName("strangler candidates")
    if master:
        builder = builder.master(master)
    try:
        return builder.getOrCreate()
    except (PySparkException, OSError, RuntimeError) as error:
        raise LogError(f"Spark does not start ({error}); it needs Java 17 or newer") from None


class SparkEngine:
    """A Spark session that has read logs.

    Args:
        paths: Files, folders and patterns of any storage that Spark can read (`s3a://...`).
    """

    def __init__(self, session: SparkSession, paths: Sequence[str], known: Format) -> None:
        self._session = session
        for name, value in _SETTINGS.items():
            session.conf.set(name, value)
        lines = _text(session, paths).where("length(value) > 0")
        lines.selectExpr("input_file_name() AS file", "value AS line").createOrReplaceTempView("lines")
        for name, query in known.steps:
            self.define(name, query)
        self.define("parsed", queries.PARSED, keep=True)
        self.define("requests", queries.REQUESTS)

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        frame = self._session.sql(translate(query, "spark"))
        frame.createOrReplaceTempView(name)
        if keep:
            self._session.sql(f"CACHE LAZY TABLE {name} OPTIONS ('storageLevel' 'DISK_ONLY')")

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        try:
            for row in self._session.sql(translate(query, "spark")).toLocalIterator():
                yield tuple(row)
        except PySparkException as error:
            raise LogError(f"Spark cannot run a query: {_first_line(error)}") from None

    def names(self, naming: Naming) -> str:
        return case_expression(naming.templates())


def first_lines(session: SparkSession, paths: Sequence[str]) -> list[str]:
    """Some lines to tell the format by."""
    return [row.value for row in _text(session, paths).limit(_FIRST_LINES).collect()]


def _text(session: SparkSession, paths: Sequence[str]) -> DataFrame:
    try:
        return session.read.option("recursiveFileLookup", "true").text(list(paths))
    except PySparkException as error:
        raise LogError(f"{', '.join(paths)}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["?"])[0]
