"""`routes.yaml` into a `Config`, or every reason why not.

    text --tree.compose--> tree with places --table.TABLE--> Config --check.check--> Config

Shapes, ranges and character sets are judged on the way in (`shapes`, `records` and the modules of the
language), what concerns several records at the end (`check`). Nothing stops at the first problem, except YAML
that is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from proxy.config.certificates import TableFiles, with_certificates
from proxy.config.check import check
from proxy.config.model import Config
from proxy.config.problem import ConfigError, Place, Problem, Report, in_order
from proxy.config.records import value_place
from proxy.config.shapes import place_of, quoted, wrong_type
from proxy.config.table import TABLE
from proxy.config.transactions import with_openapi
from proxy.config.tree import MAX_CHARACTERS, Map, Scalar, Sequence, Value, compose, join

_ABOUT_KEYS = ("unknown-target-group", "app-cookie-with-weights", "group-stickiness-required", "incompatible-protocols")
"""Problems of a name that is a key where it stands in a mapping."""
_KEY = "\0key"

MAX_BYTES = MAX_CHARACTERS
"""Whoever reads a file need not read more than one byte beyond this: `decode` refuses it."""


def load(
    text: str | bytes, env: Mapping[str, str], source: str = "routes.yaml", files: TableFiles | None = None
) -> Config:
    """Return what a table says; as `load_with_warnings`, which also returns what is doubtful about it."""
    return load_with_warnings(text, env, source, files)[0]


def load_with_warnings(
    text: str | bytes, env: Mapping[str, str], source: str = "routes.yaml", files: TableFiles | None = None
) -> tuple[Config, list[Problem]]:
    """Return what a table says, and what is doubtful about it.

    Args:
        text: The whole file; bytes are taken as UTF-8.
        env: Where `${NAME}` is looked up.
        source: The file's name, for the error's text.
        files: Reads the files that the table names; without it they are not looked at, for what only judges the text.

    Raises:
        ConfigError: The table cannot be used. It holds every error, and the warnings, as the file has them.
    """
    report = Report()
    decoded = decode(text, report) if isinstance(text, bytes) else text
    root = compose(decoded, env, report) if decoded is not None else None
    config: Config | None = None
    if isinstance(root, Map):
        config = TABLE.read(root, "", report)
        if config is not None:
            found = check(config)
            if files is not None:
                config, more = with_certificates(config, files)
                config, documents = with_openapi(config, files)
                found += more + documents
            report.problems += _across(found, root, report.failed)
    elif root is not None:
        wrong_type(root, "", report, "a table that begins with version: 1")
    problems = in_order(report.problems)
    if config is None or any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems, source)
    return config, problems


def decode(content: bytes, report: Report) -> str | None:
    """The text of a file, or None with the reason reported: it is too long, or not UTF-8."""
    if len(content) > MAX_BYTES:
        report.error("too-large", Place(1, 1, ""), f"the table is longer than {MAX_BYTES} bytes")
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        good = content[: error.start].decode("utf-8")
        line, column = good.count("\n") + 1, len(good) - (good.rfind("\n") + 1) + 1
        report.error("encoding", Place(line, column, ""), "this byte is not UTF-8: save the file as UTF-8")
        return None


def _across(found: list[Problem], root: Map, failed: set[str]) -> list[Problem]:
    """These problems between records or with files, each at the very value it speaks of.

    A record that has an error is there with stand-ins, so what is said of a failed path is left out, and warnings are
    only given for a whole table.
    """
    index = _index(root)
    problems: list[Problem] = []
    for problem in found:
        path = problem.place.path
        if path in failed or (failed and problem.severity == "warning"):
            continue
        by_key = problem.code in _ABOUT_KEYS
        place, value = index.get(f"{path}{_KEY}" if by_key else path, (None, None))
        if place is None:
            # `forward: name` has no key of that name: the value itself is the place.
            parent = path.rpartition(".")[0]
            place, value = index.get(parent, (problem.place, None))
            if not isinstance(value, Scalar):
                place = problem.place
            elif parent in failed:
                continue
        message = problem.message
        if isinstance(value, Scalar) and value.kind == "environment" and value.text:
            message = message.replace(repr(value.text), quoted(value.written))
        problems.append(replace(problem, place=place, message=message))
    return problems


def _index(root: Map) -> dict[str, tuple[Place, Value]]:
    """Where each path of the tree stands."""
    index: dict[str, tuple[Place, Value]] = {}
    waiting: list[tuple[str, Value]] = [("", root)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Map):
            for entry in value.entries:
                child = join(path, entry.key.text)
                index[child] = (value_place(entry.key, entry.value, child), entry.value)
                index[f"{child}{_KEY}"] = (place_of(entry.key, child), entry.key)
                waiting.append((child, entry.value))
        elif isinstance(value, Sequence):
            for number, item in enumerate(value.items):
                child = f"{path}[{number}]"
                index[child] = (place_of(item, child), item)
                waiting.append((child, item))
    return index
