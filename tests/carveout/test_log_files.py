"""Files: found, compressed, cut short, numbered."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_reading import PlainNames, alb_line, nginx_line, write

from proxy.carveout.logs import files
from proxy.carveout.logs.measure import Settings
from proxy.carveout.logs.outcome import Reading
from proxy.carveout.logs.problems import LogError
from proxy.carveout.logs.reading import read_files


def read(*sources: Path, **options: Any) -> Reading:
    return read_files([str(source) for source in sources], PlainNames(), Settings(), threads=1, **options)


def requests(reading: Reading) -> int:
    return sum(load.requests for load in reading.workload.transactions)


def test_a_folder_is_read_with_all_that_is_in_it(tmp_path: Path) -> None:
    """As `aws s3 sync` leaves it: a folder a day, compressed; hidden files are not the log's."""
    for place in ("2026/11/23", "2026/11/24", ".git"):
        (tmp_path / place).mkdir(parents=True)
    write(tmp_path / "2026/11/23", [alb_line()] * 2, "a.log.gz")
    write(tmp_path / "2026/11/24", [alb_line()] * 3, "a.log")
    write(tmp_path / ".git", [alb_line()] * 4, "a.log")
    write(tmp_path, [alb_line()] * 8, ".a.log.swp")

    assert requests(read(tmp_path)) == 5


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, [alb_line()])

    assert requests(read(tmp_path, path, path)) == 1


def test_any_name_will_do(tmp_path: Path) -> None:
    """Also one that a shell, or the engine, would take for a pattern or for the end of a text."""
    for name in ("a*.log", "[b].log", "it's.log", "{c,d}.log.gz", "e?.log"):
        write(tmp_path, [alb_line(), f"bad {name}"], name)
    (tmp_path / "a-other.log").write_text("nothing of a log\n")
    reading = read(tmp_path)

    assert requests(reading) == 5
    assert {(Path(bad.file).name, bad.number, bad.text) for bad in reading.bad} == {
        (name, 2, f"bad {name}") for name in ("a*.log", "[b].log", "it's.log", "{c,d}.log.gz", "e?.log")
    }


def test_compression_is_told_by_content(tmp_path: Path) -> None:
    write(tmp_path, [alb_line()], "a.log.gz").rename(tmp_path / "b.log")
    write(tmp_path, [alb_line()] * 2, "c.log").rename(tmp_path / "c.gz")

    assert requests(read(tmp_path)) == 3


def test_files_of_several_formats_add_up(tmp_path: Path) -> None:
    write(tmp_path, [alb_line()], "alb.log")
    write(tmp_path, [nginx_line()] * 2, "nginx.log")
    reading = read(tmp_path)

    assert requests(reading) == 3
    assert reading.formats == ["alb", "combined-upstream-time"]


def test_a_file_that_is_no_log_is_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, [alb_line()], "alb.log")
    write(tmp_path, ["Enable AccessLog for ELB: shop"], "ELBAccessLogTestFile")
    (tmp_path / "empty.log").touch()
    reading = read(tmp_path)

    assert requests(reading) == 1
    assert ["ELBAccessLogTestFile" in note or "empty.log" in note for note in reading.notes] == [True, True]


def random_log(folder: Path) -> Path:
    """A bad line and 2000 good ones that do not compress well."""
    draw = random.Random(1)
    lines = [alb_line(request=f"GET http://h:80/{draw.randbytes(200).hex()} HTTP/1.1") for _ in range(2000)]
    return write(folder, ["bad", *lines], "b.log.gz")


def test_a_gzip_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """And the files beside it are read whole, each once."""
    good = write(tmp_path, [alb_line()] * 3, "a.log.gz")
    path = random_log(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    reading = read(good, path)

    assert 3 + 500 < requests(reading) < 3 + 1500
    assert [f"{bad.file}:{bad.number}:{bad.text}" for bad in reading.bad] == [f"{path}:1:bad"]
    assert [str(path) in note and "cut short" in note for note in reading.notes] == [True]


def test_a_damaged_gzip_file_stops_nothing(tmp_path: Path) -> None:
    """What comes out after the damage is bad lines, or nothing."""
    good = write(tmp_path, [alb_line()] * 3, "a.log.gz")
    path = random_log(tmp_path)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(data[:middle] + random.Random(2).randbytes(2000) + data[middle + 2000 :])
    reading = read(good, path)

    assert requests(reading) > 3 + 500
    assert (reading.bad[0].file, reading.bad[0].number, reading.bad[0].text) == (str(path), 1, "bad")


def test_several_members_of_gzip_are_one_file(tmp_path: Path) -> None:
    one = write(tmp_path, [alb_line()], "a.log.gz").read_bytes()
    (tmp_path / "a.log.gz").write_bytes(one * 3)

    assert requests(read(tmp_path)) == 3


def test_bad_lines_are_counted_and_the_first_are_shown(tmp_path: Path) -> None:
    """With the numbers that an editor shows."""
    lines = [alb_line(), "one", "", alb_line(), "two", *["more"] * 10, "t\u00e4xt"]
    path = tmp_path / "access.log"
    path.write_bytes("\r\n".join(lines).encode() + b"\r\nno \xff text\r\n" + alb_line().encode())
    reading = read(path, format_text="alb")

    assert requests(reading) == 3
    assert (reading.lines, reading.bad_count) == (17, 14)
    assert len(reading.bad) == 5
    assert [(bad.number, bad.text) for bad in reading.bad[:2]] == [(2, "one"), (5, "two")]


def test_a_line_that_is_no_text_is_shown_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(alb_line().encode() + b"\nno \xff text\n" + b"x" * 3_000_000 + b"\n" + alb_line().encode())
    reading = read(path)

    assert requests(reading) == 2
    assert reading.bad_count == 2
    assert [bad.number for bad in reading.bad] == [2, 3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda folder: folder / "none", "there is no such file", id="no file"),
        pytest.param(lambda _: "s3://logs/AWSLogs/", "--engine athena", id="a place in S3"),
        pytest.param(lambda folder: folder, "there is no file in it", id="an empty folder"),
        pytest.param(lambda folder: write(folder, []), "is empty", id="an empty file"),
        pytest.param(lambda folder: write(folder, ["x"] * 5), "--format", id="no log"),
        pytest.param(
            lambda folder: write(folder, [alb_line(target="-", times="-1 -1 -1", arn="-")]),
            "no target was asked",
            id="redirects only",
        ),
    ],
)
def test_nothing_to_read_is_said(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(LogError, match=message):
        read(make(tmp_path))


def test_a_given_format_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="none of the 1 lines can be read"):
        read(write(tmp_path, [alb_line()]), format_text="json")


def test_too_little_memory_is_said(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="DuckDB does not start with much"):
        read(write(tmp_path, [alb_line()]), memory="much")


HAR = {
    "log": {
        "version": "1.2",
        "entries": [
            {
                "startedDateTime": "2026-11-24T13:00:00.000+01:00",
                "request": {
                    "method": "POST",
                    "url": "https://shop.example.com/orders?x=1#y",
                    "headers": [{"name": "User-Agent", "value": "Firefox"}],
                    "headersSize": 200,
                    "bodySize": 100,
                },
                "response": {"status": 201, "headersSize": -1, "bodySize": 500},
                "timings": {"blocked": 1, "dns": -1, "connect": -1, "send": 2, "wait": 20, "receive": 5},
            },
            {
                "startedDateTime": "2026-11-24T13:00:00.000+01:00",
                "request": {"method": "GET", "url": "data:image/png;base64,"},
                "response": {"status": 200},
            },
        ],
    }
}


def test_har(tmp_path: Path) -> None:
    """A browser's recording: the host that it asked is the target group."""
    path = tmp_path / "shop.har"
    path.write_text(json.dumps(HAR, indent=2), encoding="utf-8")
    (load,) = read(path).workload.transactions

    assert (load.name, load.target_group) == ("POST /orders", "shop.example.com")
    assert load.seconds == pytest.approx(0.025)
    assert load.first_byte_seconds == pytest.approx(0.020)
    assert (load.request_bytes, load.response_bytes, load.writes) == (300, 500, 1)


@pytest.mark.parametrize("text", ['{"log": {', '{"log": {"entries": [{"request": 5}]}}', '{"log": []}'])
def test_a_bad_har_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop.har"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(LogError, match="not a HAR file"):
        read(path)


@given(st.lists(st.sampled_from([b"", b"a", b"ab", b"b", b"abc"]), max_size=30), st.booleans(), st.integers(1, 9))
def test_line_numbers(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], is_gzip: bool, block: int) -> None:
    """Of the first line that is the one looked for, whatever the blocks are that a file is read in."""
    path = tmp_path_factory.mktemp("numbers") / "log"
    data = b"\n".join(lines)
    path.write_bytes(gzip.compress(data) if is_gzip else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK", block * 4)
        found = files.line_numbers(files.LogFile(path, 0, is_gzip), ["a", "ab", "abc"])

    assert found == {text: lines.index(text.encode()) + 1 for text in ("a", "ab", "abc") if text.encode() in lines}
