"""The key of stickiness cookies: from the environment, from a file, or made for this run.

Cookies are worth as much as their key lasts: with one from the environment or a file they outlive a restart and hold
for every gateway that has it. No message here contains a key.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KEY: Final = "STRANGLER_COOKIE_KEY"
KEY_FILE: Final = "STRANGLER_COOKIE_KEY_FILE"
MIN_CHARACTERS: Final = 32
MAX_FILE_BYTES: Final = 4096
_FOR_THIS_RUN: Final = "for-this-run:"


class CookieKeyError(Exception):
    """There is a key and it cannot be used; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class CookieKey:
    """A key; `lasts` says whether the next start will have the same."""

    secret: bytes = field(repr=False)
    lasts: bool

    def as_variable(self) -> str:
        """The value of `STRANGLER_COOKIE_KEY` with which a child process has the same key."""
        return ("" if self.lasts else _FOR_THIS_RUN) + self.secret.decode("utf-8", "surrogateescape")


def cookie_key(environment: Mapping[str, str]) -> CookieKey:
    """Return the key that `STRANGLER_COOKIE_KEY` holds, else that of `STRANGLER_COOKIE_KEY_FILE`, else a new one.

    A file that is not there is made, with a new key and readable by its owner only.

    Raises:
        CookieKeyError: The key is too short, or the file can be neither read nor made.
    """
    text = environment.get(KEY, "")
    if text:
        secret = text.removeprefix(_FOR_THIS_RUN)
        return CookieKey(_long_enough(secret, KEY), lasts=secret == text)
    name = environment.get(KEY_FILE, "")
    if name:
        return CookieKey(_from_file(Path(name)), lasts=True)
    return CookieKey(_new_secret(), lasts=False)


def _new_secret() -> bytes:
    return os.urandom(32).hex().encode()


def _long_enough(text: str, where: str) -> bytes:
    if len(text) < MIN_CHARACTERS:
        remedy = "make one with: openssl rand -hex 32"
        raise CookieKeyError(f"{where} has {len(text)} characters, a key has at least {MIN_CHARACTERS}: {remedy}")
    return text.encode("utf-8", "surrogateescape")


def _from_file(path: Path) -> bytes:
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise CookieKeyError(f"cannot read or make the cookie key file {path}: {error.strerror or error}") from None
    return _long_enough(content.decode("utf-8", "surrogateescape").strip(), f"the cookie key file {path}")


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; if another process is quicker its key counts."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_new_secret() + b"\n")
        try:
            with suppress(FileExistsError):
                os.link(temporary, path)
        except OSError:
            os.replace(temporary, path)  # a file system without hard links
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
