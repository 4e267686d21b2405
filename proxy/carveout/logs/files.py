"""The files of a log: a folder's, compressed or not, whole or cut short."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.carveout.logs.problems import LogError

_GZIP: Final = b"\x1f\x8b"
_BLOCK: Final = 4 << 20
_GZIP_BLOCK: Final = 64 << 10
"""What is lost at most before the place where a file is damaged."""
_FIRST_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file.

    Attributes:
        path: Where it is.
        size: Bytes on disk.
        is_gzip: By its first bytes, whatever its name says.
    """

    path: Path
    size: int
    is_gzip: bool


def find(sources: Iterable[str]) -> list[LogFile]:
    """All files of the sources, those of a folder recursively and in the order of their names, hidden ones left out.

    Raises:
        LogError: A source does not exist or cannot be read, or there is no file at all.
    """
    found: dict[Path, LogFile] = {}
    for source in sources:
        root = Path(source)
        try:
            if root.is_dir():
                paths = sorted(path for path in root.rglob("*") if path.is_file() and not _is_hidden(path, root))
            elif root.exists():
                paths = [root]
            elif "://" in source:
                raise LogError(f"{source}: copy it here first (aws s3 sync), or read it with --engine athena or spark")
            else:
                raise LogError(f"{source}: there is no such file or folder")
            for path in paths:
                with path.open("rb") as file:
                    found.setdefault(path.resolve(), LogFile(path, path.stat().st_size, file.read(2) == _GZIP))
        except OSError as error:
            raise LogError(f"{error.filename or source}: {error.strerror}") from None
    if not found:
        raise LogError(f"{', '.join(sources)}: there is no file in it")
    return list(found.values())


def first_lines(file: LogFile) -> list[str]:
    """The whole lines at the start of a file, to tell its format by; a last line that may be cut is left out."""
    data = bytearray()
    for block in blocks(file):
        data += block
        if len(data) >= _FIRST_BYTES:
            break
    lines = bytes(data[:_FIRST_BYTES]).decode("utf-8", "replace").splitlines()
    return lines[:-1] if len(data) >= _FIRST_BYTES and len(lines) > 1 else lines


def blocks(file: LogFile) -> Iterator[bytes]:
    """The uncompressed content in blocks of bounded size; a gzip file that is cut short or damaged ends early."""
    with file.path.open("rb") as stream:
        if not file.is_gzip:
            while block := stream.read(_BLOCK):
                yield block
            return
        unpack = zlib.decompressobj(wbits=31)
        while data := stream.read(_BLOCK >> 2):
            while data:
                try:
                    block = unpack.decompress(data, _GZIP_BLOCK)
                except zlib.error:
                    return
                if block:
                    yield block
                data = unpack.unconsumed_tail
                if unpack.eof:
                    data, unpack = unpack.unused_data, zlib.decompressobj(wbits=31)


def rescue(file: LogFile, path: Path) -> LogFile:
    """Write what can be read of a damaged gzip file, up to its last whole line, to a plain file."""
    rest = b""
    with path.open("wb") as plain:
        for block in blocks(file):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            plain.write(whole + newline)
    return LogFile(path, path.stat().st_size, False)


def line_numbers(file: LogFile, lines: Sequence[str]) -> dict[str, int]:
    """The number, from 1, of the first line that is each of `lines`; one that is not found is absent."""
    wanted = {line.encode("utf-8"): line for line in lines}
    numbers: dict[str, int] = {}
    seen, rest = 0, b""
    for block in blocks(file):
        whole, newline, rest = (rest + block).rpartition(b"\n")
        text = b"\n" + whole.replace(b"\r\n", b"\n") + newline
        for line in list(wanted):
            at = text.find(b"\n" + line + b"\n")
            if at >= 0:
                numbers[wanted.pop(line)] = seen + text.count(b"\n", 0, at + 1)
        if not wanted:
            return numbers
        seen += whole.count(b"\n") + bool(newline)
    if rest in wanted:
        numbers[wanted[rest]] = seen + 1
    return numbers


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
