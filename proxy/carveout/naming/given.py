"""Given patterns as templates."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.carveout.naming.templates import Template
from proxy.config.model import TransactionPattern


def given_templates(patterns: Iterable[TransactionPattern]) -> list[Template]:
    """The templates of the patterns of a table (`Config.transactions.given`)."""
    return [
        Template(pattern.method, pattern.segments, "openapi" if pattern.openapi else "pinned") for pattern in patterns
    ]
