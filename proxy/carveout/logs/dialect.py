"""The one SQL text in the words of each engine.

Queries are written in DuckDB's dialect. sqlglot translates what differs by name or by place (a list's first index,
JSON paths, regular expression operators); what it cannot know, since it depends on the text in the logs, are the
functions of `MEANINGS`.
"""

from __future__ import annotations

from typing import Final

import sqlglot
from sqlglot import exp

ENGINES: Final = ("duckdb", "spark", "athena")

MEANINGS: Final = {
    # ISO 8601 with a zone, as the load balancer writes it, to seconds since the epoch with microseconds.
    "ISO_SECONDS": {
        "duckdb": "EPOCH(TRY_CAST({0} AS TIMESTAMPTZ))",
        "spark": "UNIX_MICROS(TRY_CAST({0} AS TIMESTAMP)) / 1e6",
        "athena": "TRY(TO_UNIXTIME(FROM_ISO8601_TIMESTAMP_NANOS({0})))",
    },
    # `10/Oct/2000:13:55:36 -0700`, as nginx and Apache write it.
    "CLF_SECONDS": {
        "duckdb": "EPOCH(TRY_STRPTIME({0}, '%d/%b/%Y:%H:%M:%S %z'))",
        "spark": "UNIX_MICROS(TRY_TO_TIMESTAMP({0}, 'dd/MMM/yyyy:HH:mm:ss Z')) / 1e6",
        "athena": "TRY(TO_UNIXTIME(PARSE_DATETIME({0}, 'dd/MMM/yyyy:HH:mm:ss Z')))",
    },
    # A JSON document, or nothing: DuckDB alone refuses to look into a text that is none.
    "JSON_DOCUMENT": {"duckdb": "CASE WHEN JSON_VALID({0}) THEN {0} END", "spark": "{0}", "athena": "{0}"},
}
"""Function to what it is in each engine, `{0}` being its argument."""


def translate(query: str, engine: str) -> str:
    """Write a query for an engine of `ENGINES`; raise sqlglot's ParseError for one that is not DuckDB's SQL."""
    tree = sqlglot.parse_one(query, read="duckdb")
    return tree.transform(_meaning, engine).sql(dialect=engine)


def tables_of(query: str) -> set[str]:
    """Names of the tables that a query reads, its own WITH names left out."""
    tree = sqlglot.parse_one(query, read="duckdb")
    own = {common.alias for common in tree.find_all(exp.CTE)}
    return {table.name for table in tree.find_all(exp.Table)} - own


def _meaning(node: exp.Expr, engine: str) -> exp.Expr:
    if not isinstance(node, exp.Anonymous) or node.name.upper() not in MEANINGS:
        return node
    argument = node.expressions[0].transform(_meaning, engine).sql(dialect=engine)
    return sqlglot.parse_one(MEANINGS[node.name.upper()][engine].format(argument), read=engine)
