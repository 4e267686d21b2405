"""What was learned, kept in a file over a restart."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from proxy.carveout.naming.templates import Template

VERSION: Final = 1
MAX_BYTES: Final = 8 * 1024 * 1024

logger = logging.getLogger(__name__)


def save_templates(path: Path, templates: Sequence[Template]) -> None:
    """Write them in one step: a reader finds the old file or the new one; raise OSError."""
    text = json.dumps({"version": VERSION, "templates": [template.as_json() for template in templates]}, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def load_templates(path: Path) -> list[Template]:
    """Read them; what is not there, or is no such file, is an empty list, since it can all be learned again."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        logger.warning("the names in %s are learned again: %s", path, error)
        return []
    try:
        document = json.loads(content) if len(content) <= MAX_BYTES else None
        if not isinstance(document, dict) or document.get("version") != VERSION:
            raise ValueError("it is not a file of version 1")
        return [Template.from_json(data) for data in document["templates"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        logger.warning("the names in %s are learned again: %s", path, error)
        return []
