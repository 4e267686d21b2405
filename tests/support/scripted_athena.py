"""Athena as far as a client sees it: the statements are run by DuckDB, over logs read as AWS's table reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import duckdb
import sqlglot
from athena import ACCESS_LOG

from proxy.carveout.logs.athena_table import COLUMNS

_TYPES = {"string": "VARCHAR", "int": "INTEGER", "bigint": "BIGINT", "double": "DOUBLE"}


class ScriptedAthena:
    """Answers the four calls of boto3's Athena client that are used.

    Args:
        lines: The log in the bucket. A line that the table's expression does not match is a row of nulls.
        page: Rows of a page of results.

    Attributes:
        statements: What was asked, as it was sent.
        failure: Fail every query with this reason.
    """

    def __init__(self, lines: Sequence[str], page: int = 7, tables: Sequence[str] = ("logs",)) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("CREATE MACRO from_iso8601_timestamp_nanos(x) AS CAST(x AS TIMESTAMPTZ)")
        columns = ", ".join(f"{name} {_TYPES[kind]}" for name, kind in COLUMNS.items())
        self._rows = [_row(line) for line in lines]
        self._columns = columns
        for table in tables:
            self._create(table)
        self._page = page
        self._results: dict[str, tuple[list[tuple[str, str]], list[tuple[Any, ...]]]] = {}
        self._polls: dict[str, int] = {}
        self.statements: list[str] = []
        self.arguments: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.failure = ""

    def close(self) -> None:
        self._connection.close()

    def _create(self, table: str) -> None:
        self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({self._columns})")
        marks = ", ".join(f"TRY_CAST(? AS {_TYPES[kind]})" for kind in COLUMNS.values())
        if self._rows:
            self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", self._rows)

    def start_query_execution(self, **arguments: Any) -> dict[str, Any]:
        text = arguments["QueryString"]
        self.statements.append(text)
        self.arguments.append(arguments)
        name = f"query-{len(self.statements)}"
        self._polls[name] = 0
        if found := re.match(r"CREATE EXTERNAL TABLE IF NOT EXISTS (\w+) ", text):
            self._create(found[1])
            self._results[name] = ([], [])
        elif not self.failure:
            result = self._connection.execute(sqlglot.transpile(text, read="athena", write="duckdb")[0])
            kinds = [(column[0], _kind(str(column[1]))) for column in result.description or []]
            self._results[name] = (kinds, result.fetchall())
        return {"QueryExecutionId": name}

    def get_query_execution(self, **arguments: Any) -> dict[str, Any]:
        name = arguments["QueryExecutionId"]
        self._polls[name] += 1
        state = ("QUEUED", "RUNNING", "FAILED" if self.failure else "SUCCEEDED")[min(self._polls[name], 3) - 1]
        status = {"State": state} | ({"StateChangeReason": self.failure} if self.failure else {})
        return {"QueryExecution": {"Status": status, "Statistics": {"DataScannedInBytes": 1000}}}

    def get_query_results(self, **arguments: Any) -> dict[str, Any]:
        kinds, rows = self._results[arguments["QueryExecutionId"]]
        cells = [{"Data": [{"VarCharValue": name} for name, _ in kinds]}, *map(_cells, rows)]
        start = int(arguments.get("NextToken", 0))
        end = start + self._page
        info = [{"Name": name, "Type": kind} for name, kind in kinds]
        page: dict[str, Any] = {"ResultSet": {"Rows": cells[start:end], "ResultSetMetadata": {"ColumnInfo": info}}}
        return page | ({"NextToken": str(end)} if end < len(cells) else {})

    def stop_query_execution(self, **arguments: Any) -> dict[str, Any]:
        self.stopped.append(arguments["QueryExecutionId"])
        return {}


def _row(line: str) -> list[str | None]:
    match = ACCESS_LOG.fullmatch(line)
    return list(match.groups()[: len(COLUMNS)]) if match else [None] * len(COLUMNS)


def _cells(row: tuple[Any, ...]) -> dict[str, Any]:
    """Everything is text, and null is a cell without any."""
    return {"Data": [{} if value is None else {"VarCharValue": str(value)} for value in row]}


def _kind(duckdb_type: str) -> str:
    if duckdb_type in ("BIGINT", "HUGEINT"):
        return "bigint"
    if duckdb_type.startswith("DECIMAL"):
        return "decimal"
    return {"VARCHAR": "varchar", "DOUBLE": "double", "INTEGER": "integer", "BOOLEAN": "boolean"}[duckdb_type]
