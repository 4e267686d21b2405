"""A function's code and layers as folders: what is a folder already is used in place, a .zip file is unpacked."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from proxy.functions.model import FunctionConfig

MAX_UNPACKED_BYTES = 250 * 1024 * 1024
"""Code and layers together, unpacked (AWS quotas)."""
MAX_FILES = 50_000
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ValueError,
    RuntimeError,
    EOFError,
    OSError,
    struct.error,
)
"""What zipfile raises of its own, and lets through of its decompressors and decoders."""


class PackageError(Exception):
    """Code or a layer cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Package:
    """Where a function's code is, and its layers as under `/opt`; `layers` is None when there are none."""

    task_root: Path
    layers: Path | None


def prepare(function: FunctionConfig, folder: Path) -> Package:
    """Unpack into `folder`, which is emptied first.

    Raises:
        PackageError: A path does not exist, a .zip file is broken, too large unpacked, or would write elsewhere.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    budget = _Budget(function.name)
    code = function.code.resolve()
    if code.is_dir():
        task_root = code
    else:
        task_root = folder / "task"
        _unpack(code, task_root, budget)
    if not function.layers:
        return Package(task_root, None)
    layers = folder / "opt"
    layers.mkdir()
    for layer in function.layers:
        if layer.is_dir():
            _copy(layer, layers)
        else:
            _unpack(layer, layers, budget)
    return Package(task_root, layers)


def _copy(layer: Path, folder: Path) -> None:
    try:
        shutil.copytree(layer, folder, dirs_exist_ok=True)
    except OSError as error:
        raise PackageError(f"{layer} cannot be copied: {error}") from None


class _Budget:
    """Counts what is unpacked for one function."""

    def __init__(self, function: str) -> None:
        self._function = function
        self._bytes = 0
        self._files = 0

    def spend(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MAX_UNPACKED_BYTES:
            megabytes = MAX_UNPACKED_BYTES // 1024 // 1024
            raise PackageError(f"{self._function}: code and layers are over {megabytes} MB unpacked")

    def count(self) -> None:
        self._files += 1
        if self._files > MAX_FILES:
            raise PackageError(f"{self._function}: code and layers have over {MAX_FILES} files")


def _unpack(archive: Path, folder: Path, budget: _Budget) -> None:
    folder.mkdir(exist_ok=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                budget.count()
                _unpack_member(opened, member, folder, archive, budget)
    except FileNotFoundError:
        raise PackageError(f"{archive} does not exist: give a folder or a .zip file") from None
    except _UNREADABLE as error:
        raise PackageError(f"{archive} cannot be unpacked: {error}") from None


def _unpack_member(
    opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, archive: Path, budget: _Budget
) -> None:
    name = PurePosixPath(member.filename)
    mode = member.external_attr >> 16
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
        raise PackageError(f"{archive}: {member.filename!r} would be written outside its folder")
    if stat.S_ISLNK(mode):
        raise PackageError(f"{archive}: {member.filename!r} is a symbolic link, which is not unpacked")
    path = folder / name
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # The size that the directory of the file claims is not believed: what comes out is counted.
    with opened.open(member) as source, path.open("wb") as target:
        while block := source.read(1024 * 1024):
            budget.spend(len(block))
            target.write(block)
    os.chmod(path, 0o755 if mode & 0o111 else 0o644)
