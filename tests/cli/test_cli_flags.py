"""Flags: command line before environment before default."""

from __future__ import annotations

import argparse

import pytest

from proxy.cli import main
from proxy.cli.flags import Flags, UsageError, port_number


def read(arguments: list[str], env: dict[str, str]) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--admin-port", type=int, default=9901)
    parser.add_argument("--level", choices=["low", "high"], default="low")
    parser.add_argument("--header", action="append")
    parser.add_argument("--quiet", action="store_true")
    flags = Flags(env)
    flags.prepare(parser)
    args = parser.parse_args(arguments)
    flags.complete(args)
    return vars(args)


DEFAULTS = {"admin_port": 9901, "level": "low", "header": None, "quiet": False}


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        pytest.param([], {}, {}, id="defaults"),
        pytest.param([], {"STRANGLER_ADMIN_PORT": "1"}, {"admin_port": 1}, id="environment before default"),
        pytest.param(
            ["--admin-port", "2"], {"STRANGLER_ADMIN_PORT": "1"}, {"admin_port": 2}, id="flag before environment"
        ),
        pytest.param(
            ["--admin-port", "2"],
            {"STRANGLER_ADMIN_PORT": "x"},
            {"admin_port": 2},
            id="what the flag beats is not read",
        ),
        pytest.param([], {"STRANGLER_QUIET": "true"}, {"quiet": True}, id="a boolean"),
        pytest.param(["--quiet"], {"STRANGLER_QUIET": "0"}, {"quiet": True}, id="a boolean flag wins"),
        pytest.param([], {"STRANGLER_LEVEL": "high"}, {"level": "high"}, id="a choice"),
        pytest.param([], {"STRANGLER_LEVEL": ""}, {}, id="empty is unset"),
        pytest.param([], {"STRANGLER_HEADER": "A: a\nB: b"}, {"header": ["A: a", "B: b"]}, id="one value a line"),
        pytest.param(
            ["--header", "C: c"], {"STRANGLER_HEADER": "A: a"}, {"header": ["C: c"]}, id="a flag replaces the list"
        ),
    ],
)
def test_precedence(arguments: list[str], env: dict[str, str], expected: dict[str, object]) -> None:
    assert read(arguments, env) == DEFAULTS | expected


@pytest.mark.parametrize(
    ("env", "says"),
    [
        pytest.param({"STRANGLER_ADMIN_PORT": "x"}, "STRANGLER_ADMIN_PORT='x' is not a valid int", id="not a number"),
        pytest.param({"STRANGLER_LEVEL": "mid"}, "STRANGLER_LEVEL='mid' is not one of low, high", id="no choice"),
        pytest.param({"STRANGLER_QUIET": "2"}, "STRANGLER_QUIET='2' is neither", id="no boolean"),
    ],
)
def test_a_bad_value_names_its_variable(env: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read([], env)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("1", 1), ("65535", 65535)])
def test_a_port(text: str, number: int) -> None:
    assert port_number(text) == number


@pytest.mark.parametrize("text", ["65536", "-1", "", "x", "1.0", "999999999", "\u0661"])
def test_no_port(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a port from 0 to 65535"):
        port_number(text)


@pytest.mark.parametrize(
    "arguments",
    [["serve", "--admin-port", "70000"], ["demo", "--port", "70000"], ["demo", "--https-port", "-1"]],
    ids=" ".join,
)
def test_a_port_that_is_none_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "is not a port from 0 to 65535" in capsys.readouterr().err
