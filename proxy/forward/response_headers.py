"""Headers that a listener sets on every response (alb.md 6.4)."""

from __future__ import annotations

from proxy.config.model import ListenerAttributes
from proxy.http1.head import join_fields, split_fields


class ResponseHeaders:
    """The response headers of a listener's attributes, in the place of those that the response has of the same name."""

    __slots__ = ("_lines", "_names")

    def __init__(self, attributes: ListenerAttributes) -> None:
        headers = [(name.encode(), value.encode()) for name, value in attributes.response_headers]
        self._names = frozenset(name.lower() for name, _ in headers)
        self._lines = join_fields(headers)

    @classmethod
    def of(cls, attributes: ListenerAttributes) -> ResponseHeaders | None:
        """None when the attributes set none."""
        return cls(attributes) if attributes.response_headers else None

    def set_in(self, block: bytes) -> bytes:
        """Header lines with these set in them."""
        headers = split_fields(block)
        if any(name.lower() in self._names for name, _ in headers):
            block = join_fields([field for field in headers if field[0].lower() not in self._names])
        return block + self._lines
