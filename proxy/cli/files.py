"""Reads a table for a verb."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from proxy.cli.flags import UsageError
from proxy.config.certificates import TableFiles
from proxy.config.load import MAX_BYTES

STANDARD_INPUT = "-"


def files_beside(file: str) -> TableFiles:
    """Reads what a table names: beside it, or in the current directory when it comes from standard input."""
    return TableFiles(Path() if file == STANDARD_INPUT else Path(file).parent)


def read_table(file: str) -> bytes:
    """The bytes of a table, `-` for standard input; raise UsageError if there is nothing to read."""
    try:
        if file == STANDARD_INPUT:
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(file, "rb") as table:
            return table.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise UsageError(f"cannot read {file}: {reason}") from None
