"""Compiles the modules that every request passes to C, when the package is built with STRANGLER_COMPILE=1.

    STRANGLER_COMPILE=1 pip install .        needs a C compiler and Python's headers

The source stays the same and runs without it, only slower: docs/performance.md has both figures. mypyc leaves the
`.py` beside each compiled module, which Python prefers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SETUP = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--ignore-missing-imports", "--config-file=", *{modules}]
setup(name="proxy", py_modules=[], ext_modules=mypycify(options, opt_level="3", group_name="strangler_fig"))
"""


class CompileHook(BuildHookInterface):
    """Compiles `modules` of the hook's table in pyproject.toml: together, so that they call each other directly."""

    def dependencies(self) -> list[str]:
        """What the compiler needs, beside a C compiler."""
        return ["mypy[mypyc]>=1.14", "setuptools>=77"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile in a copy; the tree stays as it is."""
        if not _is_wanted() or self.target_name != "wheel" or version == "editable":
            return
        self._place = TemporaryDirectory()
        place = Path(self._place.name)
        shutil.copytree(Path(self.root, "proxy"), place / "proxy", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        (place / "setup.py").write_text(SETUP.format(modules=self.config["modules"]))
        subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=place, check=True)
        for library in (*place.glob("*.so"), *Path(place, "proxy").rglob("*.so")):
            build_data["force_include"][str(library)] = str(library.relative_to(place))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the copy."""
        if hasattr(self, "_place"):
            self._place.cleanup()


def _is_wanted() -> bool:
    return os.environ.get("STRANGLER_COMPILE", "0") not in ("", "0")
