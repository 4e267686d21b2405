"""Keep card numbers out of the log, also when a client puts one where it does not belong."""

import logging
import re
from typing import Any

from extracted_services.payments import request_log

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
        elif isinstance(record.args, dict):
            fields = record.args.items()
            record.args = {name: redact(value) if isinstance(value, str) else value for name, value in fields}
        return True


def log_config() -> dict[str, Any]:
    """Return the logging configuration with the filter on every handler."""
    config = request_log.log_config()
    config["filters"] = {"redact": {"()": "extracted_services.payments.redact.RedactingFilter"}}
    for handler in config["handlers"].values():
        handler["filters"] = ["redact"]
    return config
