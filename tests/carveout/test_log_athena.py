"""The same queries in Athena's words: valid, run, and with the same outcome as here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from athena import ACCESS_LOG
from athena import COLUMNS as DOCUMENTED_COLUMNS
from log_reading import PlainNames, write
from mixed_log import mixed_log
from scripted_athena import ScriptedAthena
from sqlglot import exp
from test_log_measure import assert_alike

from proxy.carveout.logs.athena import AthenaEngine
from proxy.carveout.logs.athena_table import COLUMNS, create_table
from proxy.carveout.logs.distributed import read_with_athena
from proxy.carveout.logs.measure import Settings
from proxy.carveout.logs.outcome import Reading
from proxy.carveout.logs.problems import LogError
from proxy.carveout.logs.reading import read_files
from proxy.carveout.naming import Namer

LOCATION = "s3://logs/shop/AWSLogs/123456789012/elasticloadbalancing/eu-west-1/"


def by_key(reading: Reading) -> dict[tuple[str, str], Any]:
    return {(load.name, load.target_group): load for load in reading.workload.transactions}


@pytest.fixture
def athena() -> Iterator[ScriptedAthena]:
    client = ScriptedAthena(mixed_log())
    yield client
    client.close()


def read(client: ScriptedAthena, naming: Any, **options: Any) -> Reading:
    options = {"table": "logs"} | options
    return read_with_athena(client, options.pop("location", ""), naming, Settings(), **options)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.carveout.logs.athena._POLL_SECONDS", 0)


def test_athena_tells_what_duckdb_tells(athena: ScriptedAthena, tmp_path: Path) -> None:
    """Names learned on the sample, sums, quiet moments, sessions: the whole workload."""
    here = read_files([str(write(tmp_path, mixed_log()))], Namer(), Settings(), threads=1)
    there = read(athena, Namer())

    assert_alike(by_key(there), by_key(here))
    assert [(load.sessions, load.neighbours) for load in there.workload.transactions] == [
        (load.sessions, load.neighbours) for load in here.workload.transactions
    ]
    assert (there.lines, there.bad_count, there.unasked) == (here.lines, here.bad_count, here.unasked)
    assert there.workload.window_count == here.workload.window_count


def test_the_logs_are_read_eight_times(athena: ScriptedAthena) -> None:
    """Athena's price goes by it: a relation that is named twice is run twice."""
    read(athena, PlainNames())

    assert sum(_scans(statement) for statement in athena.statements) == 8


def _scans(statement: str) -> int:
    tree = sqlglot.parse_one(statement, read="athena")
    relations = {common.alias: common.this for common in tree.ctes}

    def count(part: exp.Expr, outside: frozenset[str] = frozenset()) -> int:
        own = {common.alias for common in part.find_all(exp.CTE)} - relations.keys()
        names = [table.name for table in part.find_all(exp.Table) if table.name not in own]
        return sum(count(relations[name]) if name in relations else name == "logs" for name in names)

    own_of_query = [common for common in tree.ctes if common.alias in ("levels", "steps")]
    for common in own_of_query:
        relations.pop(common.alias)
    tree.set("with_", None)
    return count(tree) + sum(count(common.this) for common in own_of_query)


def test_the_statements_are_athenas(athena: ScriptedAthena) -> None:
    """Each parses in Athena's dialect as it is, with nothing that only DuckDB has."""
    read(athena, Namer())

    for statement in athena.statements:
        assert sqlglot.transpile(statement, read="athena", write="athena")
        assert not re.search(r"\b(EPOCH|TRY_STRPTIME|JSON_VALID|STR_SPLIT|REGEXP_MATCHES|STRPTIME)\b", statement)


def test_a_table_is_defined_for_a_location(athena: ScriptedAthena) -> None:
    """Once, before it is read; the place for results and the work group go with every statement."""
    read(athena, PlainNames(), table="", location=LOCATION, output="s3://results/x/", work_group="team")

    first, second, *_ = athena.statements
    table = re.match(r"CREATE EXTERNAL TABLE IF NOT EXISTS (strangler_alb_logs_[0-9a-f]{12}) ", first)
    assert table
    assert f"FROM {table[1]}" in second
    assert f"LOCATION '{LOCATION}'" in first
    assert {one["ResultConfiguration"]["OutputLocation"] for one in athena.arguments} == {"s3://results/x/"}
    assert {one["WorkGroup"] for one in athena.arguments} == {"team"}


def test_the_table_is_the_documented_one() -> None:
    """Its columns by name and order, and its expression, as Hive unescapes it."""
    statement = create_table("logs", LOCATION)
    literal = re.search(r"'input\.regex' = '(.*)'\)\n", statement)

    assert tuple(COLUMNS) == DOCUMENTED_COLUMNS
    assert literal
    assert re.sub(r"\\(.)", r"\1", literal[1]) == ACCESS_LOG.pattern
    assert re.findall(r"^  (\w+) (\w+),?$", statement, re.MULTILINE) == list(COLUMNS.items())
    assert sqlglot.parse_one(statement, read="athena").find(exp.Create)


@pytest.mark.parametrize("location", ["logs", "s3://", "s3://b", "s3://logs/'; DROP TABLE x", "https://logs/"])
def test_a_bad_location_is_refused(location: str) -> None:
    with pytest.raises(LogError, match="not where a load balancer writes"):
        create_table("logs", location)


def test_a_bad_table_name_is_refused(athena: ScriptedAthena) -> None:
    with pytest.raises(LogError, match="no name of an Athena table"):
        AthenaEngine(athena, "logs; DROP TABLE logs")


def test_a_failure_is_told_with_athenas_reason(athena: ScriptedAthena) -> None:
    athena.failure = "Access Denied (Service: Amazon S3)"

    with pytest.raises(LogError, match=r"query query-1 failed: Access Denied \(Service: Amazon S3\)"):
        read(athena, Namer())


def test_ctrl_c_stops_the_query(athena: ScriptedAthena) -> None:
    """It would go on, and cost, otherwise."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(AthenaEngine(athena, "logs", sleep=interrupt).rows("SELECT count(*) AS n FROM requests"))

    assert athena.stopped == ["query-1"]


def test_a_query_that_athena_would_not_take(athena: ScriptedAthena) -> None:
    names = PlainNames()
    for number in range(3000):
        names.learn(b"GET", b"/a/long/path/of/many/segments/%d" % number, 200, 1)

    with pytest.raises(LogError, match="--engine spark"):
        read(athena, names)


def test_nothing_to_read_is_said(athena: ScriptedAthena) -> None:
    with pytest.raises(LogError, match="--athena-table"):
        read(athena, Namer(), table="")
