"""Keep card numbers out of the log, also when a client puts one where it does not belong."""

import copy
import logging
import re
from typing import Any

import uvicorn.config

_CARD_NUMBER = re.compile(r"\d(?:(?:[ +-]|%20|%2D)?\d){12,18}", re.IGNORECASE)


def redact(text: str) -> str:
    """Replace what has the length of a card number (13 to 19 digits, ISO/IEC 7812-1), spaced or not."""
    return _CARD_NUMBER.sub("[redacted]", text)


class RedactingFilter(logging.Filter):
    """Rewrite the text arguments of a record; the record itself is always kept."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str):
            record.msg = redact(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(redact(value) if isinstance(value, str) else value for value in record.args)
        return True


def log_config() -> dict[str, Any]:
    """Return uvicorn's logging configuration with the filter on every handler."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["filters"] = {"redact": {"()": "extracted_services.payments.redact.RedactingFilter"}}
    for handler in config["handlers"].values():
        handler["filters"] = ["redact"]
    return config
