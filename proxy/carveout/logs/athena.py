"""The same queries on Athena, over the bucket that the load balancer writes to. Nothing is copied from it.

A query may read several of the relations before it: all of them go along as WITH, so that nothing is written but the
table's definition and the results. So the logs are read eight times in all, which is what Athena's price goes by.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from proxy.carveout.logs import queries
from proxy.carveout.logs.athena_table import TYPES
from proxy.carveout.logs.dialect import tables_of, translate
from proxy.carveout.logs.formats import ALB_TABLE
from proxy.carveout.logs.names import Naming, case_expression
from proxy.carveout.logs.problems import LogError

LONGEST_QUERY: Final = 262_144
"""Bytes (Athena's quota for a query string)."""
_ALB_COLUMNS: Final = "alb_columns"
_TABLE_NAME: Final = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")
_POLL_SECONDS: Final = 1.0


class Client(Protocol):
    """What is used of boto3's Athena client."""

    def start_query_execution(self, **arguments: Any) -> dict[str, Any]: ...

    def get_query_execution(self, **arguments: Any) -> dict[str, Any]: ...

    def get_query_results(self, **arguments: Any) -> dict[str, Any]: ...

    def stop_query_execution(self, **arguments: Any) -> dict[str, Any]: ...


class AthenaEngine:
    """Queries of a table with the columns that AWS documents for the load balancer's access logs.

    Args:
        table: `name` or `database.name`; it exists already (`create_table` makes it).
        output: `s3://bucket/prefix/` for the results; empty if the work group has a place.
        sleep: Waits between two looks at a query.

    Attributes:
        scanned_bytes: What Athena charges by.
    """

    def __init__(
        self,
        client: Client,
        table: str,
        *,
        output: str = "",
        work_group: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not _TABLE_NAME.fullmatch(table):
            raise LogError(f"{table!r} is no name of an Athena table: letters, digits and _, as in default.logs")
        self._client = client
        self._output = output
        self._work_group = work_group
        self._sleep = sleep
        self.scanned_bytes = 0
        self._relations: dict[str, str] = {}
        # No file name and no line: Athena shows neither.
        nothing = "CAST(NULL AS VARCHAR)"
        self.define(_ALB_COLUMNS, f"SELECT {nothing} AS file, {nothing} AS line, * FROM {table}")
        for name, query in ALB_TABLE.steps:
            self.define(name, query)
        self.define("parsed", queries.PARSED)
        self.define("requests", queries.REQUESTS)

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        self._relations[name] = query

    def names(self, naming: Naming) -> str:
        return case_expression(naming.templates())

    def text(self, query: str) -> str:
        """The whole query in Athena's words, with the relations that it needs.

        Raises:
            LogError: It is longer than Athena takes.
        """
        needed: dict[str, str] = {}

        def need(part: str) -> None:
            for name in sorted(tables_of(part)):
                if name in self._relations and name not in needed:
                    need(self._relations[name])
                    needed[name] = self._relations[name]

        need(query)
        relations = ", ".join(f"{name} AS ({text})" for name, text in needed.items())
        query = query.strip()
        # An order holds at the outermost level only, so a query's own WITH is joined to the relations'.
        rest = f", {query.removeprefix('WITH')}" if query.startswith("WITH ") else query
        text = translate(f"WITH {relations} {rest}", "athena")
        if len(text.encode()) > LONGEST_QUERY:
            raise LogError(
                f"the query has {len(text.encode())} bytes and Athena takes {LONGEST_QUERY}: there are too many names; "
                "give patterns for the paths (transactions: in routes.yaml), or read the logs with --engine spark"
            )
        return text

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        execution = self.run(self.text(query))
        first = True
        for page in self._pages(execution):
            result = page["ResultSet"]
            types = [column["Type"] for column in result["ResultSetMetadata"]["ColumnInfo"]]
            # The first row of the first page repeats the names.
            for row in result["Rows"][first:]:
                cells = (cell.get("VarCharValue") for cell in row["Data"])
                yield tuple(_value(cell, kind) for cell, kind in zip(cells, types, strict=True))
            first = False

    def run(self, text: str) -> str:
        """Run a statement to its end and return its id; raise LogError with Athena's reason if it fails."""
        arguments: dict[str, Any] = {"QueryString": text}
        if self._output:
            arguments["ResultConfiguration"] = {"OutputLocation": self._output}
        if self._work_group:
            arguments["WorkGroup"] = self._work_group
        execution: str = self._client.start_query_execution(**arguments)["QueryExecutionId"]
        try:
            while True:
                found = self._client.get_query_execution(QueryExecutionId=execution)["QueryExecution"]
                state = found["Status"]["State"]
                if state == "SUCCEEDED":
                    self.scanned_bytes += found.get("Statistics", {}).get("DataScannedInBytes", 0)
                    return execution
                if state in ("FAILED", "CANCELLED"):
                    reason = found["Status"].get("StateChangeReason", "no reason given")
                    raise LogError(f"Athena: query {execution} {state.lower()}: {reason}")
                self._sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            self._client.stop_query_execution(QueryExecutionId=execution)
            raise

    def _pages(self, execution: str) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            more: dict[str, str] = {"NextToken": token} if token else {}
            page = self._client.get_query_results(QueryExecutionId=execution, **more)
            yield page
            token = page.get("NextToken")
            if not token:
                return


def _value(text: str | None, kind: str) -> Any:
    """A cell by its type; Athena sends all of them as text."""
    if text is None:
        return None
    return TYPES.get(kind, str)(text)
