"""The embedded engine: logs on this machine, by DuckDB, in bounded memory, the rest of it on disk."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from proxy.carveout.logs import queries
from proxy.carveout.logs.dialect import translate
from proxy.carveout.logs.files import LogFile, rescue
from proxy.carveout.logs.formats import Format
from proxy.carveout.logs.names import Naming, as_sent
from proxy.carveout.logs.problems import LogError

_MOST_BAD: Final = 1000
_FETCHED: Final = 10_000
_BATCH: Final = 256
"""Files read by one statement."""
_PATTERN: Final = frozenset("*?[]{}")
_POLL_SECONDS: Final = 0.2
_CACHED_NAMES: Final = 200_000

_LINES: Final = """
CREATE OR REPLACE TEMP VIEW lines AS SELECT filename AS file, line FROM read_csv({files}, columns={{'line': 'VARCHAR'}},
  delim='\x01', quote='', escape='', comment='', header=false, auto_detect=false, strict_mode=false,
  ignore_errors=true, store_rejects=true, filename=true, compression='{compression}') WHERE length(line) > 0
"""
"""Whole lines, by the parallel reader for CSV. A line that is not UTF-8 or over 2 MB is rejected and counted."""

Report = Callable[[int], None]
"""Told how many bytes of the files, as they are on disk, have been read since the last call."""


class DuckEngine:
    """A database in `folder`, which the caller removes.

    Attributes:
        notes: What happened to files that could not be read whole.
        rejected: Lines that are no text.
        bad: The first of those: file, line number, why.
    """

    def __init__(self, folder: Path, *, memory: str = "1GB", threads: int | None = None) -> None:
        self._folder = folder
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": False,
            "TimeZone": "UTC",
            "autoinstall_known_extensions": False,
        }
        if threads:
            settings["threads"] = threads
        try:
            self._connection = duckdb.connect(str(folder / "logs.duckdb"), config=settings)
        except duckdb.Error as error:
            raise LogError(f"DuckDB does not start with {memory} of memory: {_first_line(error)}") from None
        # `query_progress` knows it then, and nothing is printed between the results.
        self._connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        self._numbers = itertools.count()
        self.notes: list[str] = []
        self.rejected = 0
        self.bad: list[tuple[str, int, str]] = []

    def close(self) -> None:
        self._connection.close()

    def load(self, files: Sequence[LogFile], known: Format, report: Report = lambda _: None) -> None:
        """Add the lines of files of one format to `parsed`. A file that is cut short is read as far as it goes."""
        for is_gzip in (False, True):
            alike = [file for file in files if file.is_gzip is is_gzip]
            for start in range(0, len(alike), _BATCH):
                self._load(alike[start : start + _BATCH], known, report)

    def _load(self, files: Sequence[LogFile], known: Format, report: Report) -> None:
        try:
            self._insert(files, known, report)
        except duckdb.Error as error:
            if isinstance(error, (duckdb.OutOfMemoryException, duckdb.BinderException)):
                raise
            if len(files) > 1:
                for file in files:
                    self._load([file], known, report)
            elif files[0].is_gzip:
                saved = rescue(files[0], self._folder / "rescued.log")
                self._insert([saved], known, lambda _: None)
                saved.path.unlink()
                self._rename(str(saved.path), str(files[0].path))
                self.notes.append(f"{files[0].path}: cut short; what there is of it was read")
            else:
                self.notes.append(f"{files[0].path}: left out, {_first_line(error)}")

    def _insert(self, files: Sequence[LogFile], known: Format, report: Report) -> None:
        named = {str(self._plainly_named(file.path)): str(file.path) for file in files}
        paths = ", ".join(map(_quoted, named))
        compression = "gzip" if files[0].is_gzip else "none"
        self._connection.execute(_LINES.format(files=f"[{paths}]", compression=compression))
        for name, query in known.steps:
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {translate(query, 'duckdb')}")
        parsed = translate(queries.PARSED, "duckdb")
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS parsed AS SELECT * FROM ({parsed}) LIMIT 0")
        with _Progress(self._connection, sum(file.size for file in files), report):
            self._connection.execute(f"INSERT INTO parsed {parsed}")
        self._collect_rejects()
        for name, path in named.items():
            if name != path:
                self._rename(name, path)

    def _plainly_named(self, path: Path) -> Path:
        """The file, by another name if the engine would take its own for a pattern."""
        if not _PATTERN & set(str(path)):
            return path
        link = self._folder / f"link-{next(self._numbers)}"
        link.symlink_to(path.resolve())
        return link

    def _collect_rejects(self) -> None:
        """Count each line once: it may be wrong in several ways."""
        rejects = "FROM reject_errors JOIN reject_scans USING (scan_id, file_id) WHERE error_type <> 'TOO MANY COLUMNS'"
        (count,) = self._connection.execute(f"SELECT count(DISTINCT (file_id, line)) {rejects}").fetchall()[0]
        if count:
            self.rejected += count
            self.bad += self._connection.execute(
                f"SELECT DISTINCT file_path, line, lower(replace(error_type::VARCHAR, '_', ' ')) {rejects} "
                f"ORDER BY file_path, line LIMIT {_MOST_BAD}"
            ).fetchall()
        self._connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")

    def _rename(self, name: str, path: str) -> None:
        self._connection.execute("UPDATE parsed SET file = ? WHERE file = ?", [path, name])
        self.bad = [(path if file == name else file, number, why) for file, number, why in self.bad]

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        kind = "TABLE" if keep else "VIEW"
        self._connection.execute(f"CREATE OR REPLACE {kind} {name} AS {translate(query, 'duckdb')}")

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        result = self._connection.execute(translate(query, "duckdb"))
        while rows := result.fetchmany(_FETCHED):
            yield from rows

    def names(self, naming: Naming) -> str:
        cache: dict[tuple[str, str], str] = {}

        def name_of(method: str, path: str) -> str:
            key = (method, path)
            name = cache.get(key)
            if name is None:
                if len(cache) >= _CACHED_NAMES:
                    cache.clear()
                name = cache[key] = naming.name(as_sent(method), as_sent(path))
            return name

        text = duckdb.sqltypes.VARCHAR
        self._connection.create_function("name_of", name_of, [text, text], text)
        return "name_of(method, path)"


class _Progress:
    """Tells how far a statement has come, while it runs."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, size: int, report: Report) -> None:
        self._connection = connection
        self._size = size
        self._report = report
        self._reported = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None:
            self._report(self._size - self._reported)
        else:
            self._report(-self._reported)

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            read = round(max(self._connection.query_progress(), 0) / 100 * self._size)
            if read > self._reported:
                self._report(read - self._reported)
                self._reported = read


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["?"])[0]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
