"""The folder where a gateway keeps what it learned over a restart."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from proxy.cli.flags import UsageError

STATE_FOLDER: Final = ".strangler"
"""Beside the table."""
NOWHERE: Final = "none"

logger = logging.getLogger("proxy")


def open_state_dir(asked: str | None, table: Path) -> Path | None:
    """The folder, made if it is not there; None for nowhere.

    The default is left out where it cannot be written, as beside a table that is mounted read-only.

    Raises:
        UsageError: A folder that was asked for cannot be written.
    """
    if asked == NOWHERE:
        return None
    folder = Path(asked) if asked else table.resolve().parent / STATE_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "permission denied")
        if not asked and not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        if asked:
            raise UsageError(f"--state-dir {asked}: {error.strerror}; {NOWHERE} keeps nothing") from None
        logger.info("learned names and progress are not kept over a restart: %s: %s", folder, error.strerror)
        return None
    return folder
