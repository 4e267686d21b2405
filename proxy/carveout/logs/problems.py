"""What can be wrong with logs, for the person who gave them."""

from __future__ import annotations


class LogError(Exception):
    """The logs cannot be used; the message names the place, what is wrong and the remedy."""
