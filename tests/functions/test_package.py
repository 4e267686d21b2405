"""Code and layers as folders: what is unpacked, and what is not."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from proxy.functions import package
from proxy.functions.model import FunctionConfig
from proxy.functions.package import PackageError, prepare


def function(code: Path, *layers: Path) -> FunctionConfig:
    return FunctionConfig("f", "app.handler", code, layers)


def archive(path: Path, *members: tuple[str | zipfile.ZipInfo, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members:
            written.writestr(name, content)
    return path


def member(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_a_folder_is_used_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    made = prepare(function(tmp_path / "code"), tmp_path / "work")
    assert (made.task_root, made.layers) == (tmp_path / "code", None)


def test_a_zip_file_is_unpacked_with_its_executables(tmp_path: Path) -> None:
    code = archive(
        tmp_path / "c.zip", ("app.py", "x = 1"), ("pkg/", ""), (member("bin/run", stat.S_IFREG | 0o755), "#!/bin/sh")
    )
    root = prepare(function(code), tmp_path / "work").task_root
    assert (root / "app.py").read_text() == "x = 1"
    assert (root / "pkg").is_dir()
    assert (root / "bin/run").stat().st_mode & 0o777 == 0o755
    assert (root / "app.py").stat().st_mode & 0o777 == 0o644


def test_what_was_unpacked_before_is_gone(tmp_path: Path) -> None:
    prepare(function(archive(tmp_path / "a.zip", ("old.py", ""))), tmp_path / "work")
    root = prepare(function(archive(tmp_path / "b.zip", ("new.py", ""))), tmp_path / "work").task_root
    assert [path.name for path in root.iterdir()] == ["new.py"]


@pytest.mark.parametrize(
    "name",
    ["../out.py", "/out.py", "a/../../out.py", "..\\out.py"],
    ids=["above", "absolute", "above by a detour", "above on Windows"],
)
def test_nothing_is_written_elsewhere(tmp_path: Path, name: str) -> None:
    code = archive(tmp_path / "c.zip", (name, "x"))
    with pytest.raises(PackageError, match="outside its folder"):
        prepare(function(code), tmp_path / "deep" / "work")
    assert not list(tmp_path.rglob("out.py"))


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    code = archive(tmp_path / "c.zip", (member("link", stat.S_IFLNK | 0o777), "/etc"))
    with pytest.raises(PackageError, match="symbolic link"):
        prepare(function(code), tmp_path / "work")


def test_what_comes_out_is_counted_and_not_what_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 1024 * 1024)
    code = archive(tmp_path / "c.zip", ("a", "x" * 700_000))
    layer = archive(tmp_path / "l.zip", ("b", "x" * 700_000))
    with pytest.raises(PackageError, match="over 1 MB unpacked"):
        prepare(function(code, layer), tmp_path / "work")


def test_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_FILES", 2)
    code = archive(tmp_path / "c.zip", ("a", ""), ("b", ""), ("c", ""))
    with pytest.raises(PackageError, match="over 2 files"):
        prepare(function(code), tmp_path / "work")


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "does not exist"), (b"not a zip", "cannot be unpacked")], ids=["missing", "broken"]
)
def test_what_is_no_zip_file(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "c.zip").write_bytes(content)
    with pytest.raises(PackageError, match=reason):
        prepare(function(tmp_path / "c.zip"), tmp_path / "work")


@pytest.mark.parametrize(
    "compression",
    [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2],
    ids=["deflate", "lzma", "bzip2"],
)
def test_a_damaged_archive_is_refused_whatever_is_damaged(tmp_path: Path, compression: int) -> None:
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", compression) as written:
        written.writestr("app.py", "def handler(event, context):\n    return event\n" * 20)
    content, damaged, refused = whole.read_bytes(), tmp_path / "damaged.zip", 0
    for position in range(len(content)):
        damaged.write_bytes(content[:position] + bytes([content[position] ^ 0xA5]) + content[position + 1 :])
        try:
            prepare(function(damaged), tmp_path / "work")
        except PackageError:
            refused += 1
    assert refused > len(content) // 3
