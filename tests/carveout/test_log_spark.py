"""The same queries on a local Spark."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from log_reading import nginx_line, write
from mixed_log import mixed_log
from observe_records import forwarded
from test_log_athena import by_key
from test_log_measure import assert_alike

from proxy.carveout.logs.distributed import read_with_spark
from proxy.carveout.logs.measure import Settings
from proxy.carveout.logs.problems import LogError
from proxy.carveout.logs.reading import read_files
from proxy.carveout.naming import Namer
from proxy.observe.json_lines import JsonLines

pytestmark = [
    pytest.mark.system,
    # Spark closes its sockets to the Java side when the interpreter ends, and not before.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def small_spark() -> Iterator[None]:
    """One session for all tests, with as few tasks as they need."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.sql.shuffle.partitions", "2")
    session = builder.config("spark.ui.enabled", "false").config("spark.sql.adaptive.enabled", "false").getOrCreate()
    yield
    session.stop()


@pytest.mark.parametrize(
    ("lines", "format_text"),
    [
        pytest.param(mixed_log(), "", id="alb"),
        pytest.param([JsonLines().line(forwarded())] * 3 + ["{no"], "", id="json"),
        pytest.param(
            [nginx_line(), nginx_line(time="24/Nov/2026:13:00:01 +0100", times="0.5 0.001, 0.4"), "cut", nginx_line()],
            "",
            id="nginx",
        ),
        pytest.param(
            ['192.0.2.7 [24/Nov/2026:12:00:00 +0000] "GET /a HTTP/1.1" 200 1500'] * 3,
            '%a %t "%r" %>s %{ms}T',
            id="a format string",
        ),
    ],
)
def test_spark_tells_what_duckdb_tells(tmp_path: Path, lines: list[str], format_text: str) -> None:
    """The whole workload, names and sessions included, and the number of bad lines."""
    path = str(write(tmp_path, lines))
    here = read_files([path], Namer(), Settings(), format_text=format_text, threads=1)
    there = read_with_spark([path], Namer(), Settings(), format_text=format_text)

    assert_alike(by_key(there), by_key(here))
    assert [(load.sessions, load.neighbours) for load in there.workload.transactions] == [
        (load.sessions, load.neighbours) for load in here.workload.transactions
    ]
    assert (there.lines, there.bad_count, there.unasked) == (here.lines, here.bad_count, here.unasked)
    assert [bad.text for bad in there.bad] == [bad.text for bad in here.bad]
    assert there.workload.started_at == here.workload.started_at


def test_spark_reads_a_folder_of_compressed_files_one_of_them_cut_short(tmp_path: Path) -> None:
    folder = tmp_path / "2026" / "11"
    folder.mkdir(parents=True)
    write(folder, mixed_log(50), "a.log.gz")
    (folder / "b.log.gz").write_bytes(gzip.compress("\n".join(mixed_log(2000)).encode())[:-3000])
    reading = read_with_spark([str(tmp_path)], Namer(), Settings())

    assert 51 < reading.lines < 2051
    assert reading.workload.transactions


def test_what_spark_cannot_find_is_said(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="nothing-here"):
        read_with_spark([str(tmp_path / "nothing-here")], Namer(), Settings())
