"""The code of a function, imported as Lambda imports it: a module that stands alone in its folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def function_module(file: Path) -> ModuleType:
    """Import the file under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"function_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
