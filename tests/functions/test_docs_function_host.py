"""docs/function-host.md: its example loads, and every key, flag and metric stands there."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from proxy.cli import functions as verb
from proxy.functions.config import HOST, load_functions
from proxy.functions.measures import Measures

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "function-host.md").read_text()


def test_the_example_is_a_good_file() -> None:
    (example,) = re.findall(r"```yaml\n(version: 1\n.*?)```", PAGE, re.DOTALL)
    config, problems = load_functions(example.encode(), {})
    assert set(config.functions) == {"resize", "count-clicks"}
    assert problems == []


def test_every_key_stands_there() -> None:
    names: set[str] = set()
    waiting: list[object] = [HOST.schema()]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            names |= set(part.get("properties", {}))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    in_tables = {name for name in names if f"`{name}`" in PAGE} | {"version", "functions"}
    assert sorted(names - in_tables) == []


def test_every_flag_stands_there() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    verb.add_arguments(parser)
    flags = [action.option_strings[0] for action in parser._actions]
    assert [flag for flag in flags if f"`{flag}" not in PAGE] == []


def test_every_metric_stands_there() -> None:
    text = Measures().exposition({}, {}, {}).decode()
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}`" not in PAGE] == []
