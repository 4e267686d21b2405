"""FilterCriteria of event source mappings: which records a function gets (Lambda guide, "Event filtering"); pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from proxy.functions.pattern import Pattern, PatternError

MAX_FILTERS: Final = 10
"""Five, and ten when one asks for it (Lambda quotas)."""


class Filters:
    """Patterns of one mapping; a record that satisfies one of them passes. Without any, all do.

    Args:
        patterns: As the API has them, each a JSON text.
        service: `sqs`, whose patterns are about `body`, or `kinesis`, whose are about `data`.

    Raises:
        PatternError: One of them cannot be.
    """

    def __init__(self, patterns: Sequence[str], service: str) -> None:
        if len(patterns) > MAX_FILTERS:
            raise PatternError(f"there are {len(patterns)} filters, {MAX_FILTERS} may be")
        self._key = "body" if service == "sqs" else "data"
        self._filters = [self._read(text, number) for number, text in enumerate(patterns, 1)]

    def __bool__(self) -> bool:
        return bool(self._filters)

    def pass_(self, record: dict[str, Any]) -> bool:
        """Whether the function gets a record of the event.

        A pattern with an object for the body is for bodies that are JSON objects or lists, one with a list of values
        for those that are not; the others do not pass (Lambda guide, "Properly filtering messages").
        """
        if not self._filters:
            return True
        text = self._text(record)
        if text is None:
            return False
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            decoded = None
        is_json = isinstance(decoded, dict | list)
        content = {self._key: decoded if is_json else text}
        return any(is_for_json is is_json and pattern.matches(content) for pattern, is_for_json in self._filters)

    def _text(self, record: dict[str, Any]) -> str | None:
        """What the pattern is about; None for bytes that are no text."""
        if self._key == "body":
            return str(record["body"])
        try:
            return base64.b64decode(record["kinesis"]["data"]).decode()
        except UnicodeDecodeError:
            return None

    def _read(self, text: str, number: int) -> tuple[Pattern, bool]:
        """The pattern, and whether it is for JSON."""
        try:
            pattern = Pattern(text)
            rules = pattern.rules
            if rules.keys() != {self._key}:
                raise PatternError(f"it must have {self._key} as its only key, since only that is looked at")
            is_for_json = isinstance(rules[self._key], dict)
            if self._key == "data" and not is_for_json:
                raise PatternError("data must be an object: records of a stream are filtered as JSON")
        except PatternError as error:
            raise PatternError(f"Invalid filter pattern definition: filter {number}: {error}") from None
        return pattern, is_for_json
