"""Which modules the tests run with: the source, or under `make test-compiled` what is compiled of it."""

from __future__ import annotations

import importlib
import os
import sysconfig
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
MODULES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]


@pytest.mark.parametrize("path", MODULES)
def test_a_module_of_the_hot_path_is_what_the_run_is_about(path):
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    is_compiled = "STRANGLER_TEST_COMPILED" in os.environ
    assert module.__file__.endswith(sysconfig.get_config_var("EXT_SUFFIX") if is_compiled else path)
