"""Where the shop listens, keeps its data and sends its mail: flags beat environment beats defaults."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What one shop process is told at its start. `smtp_host` None means: deliver mail into a maildir.

    `report_at` None means that something else writes the nightly report.
    """

    host: str
    port: int
    data: Path
    report_at: time | None
    smtp_host: str | None
    smtp_port: int


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read flags and environment; exit with status 2 and a message that names the flag on a bad value."""
    parser = argparse.ArgumentParser(prog="python -m monolith_stub", description=__doc__)
    parser.add_argument("--host", default=environment.get("MONOLITH_HOST", "127.0.0.1"))
    parser.add_argument(
        "--port",
        type=_port,
        default=environment.get("MONOLITH_PORT", "8000"),
        help="0 takes a free port and prints it in the log (default 8000)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=environment.get("MONOLITH_DATA", "./monolith-data"),
        help="folder of the database, the mail and the images (default ./monolith-data)",
    )
    parser.add_argument(
        "--report-at",
        type=_time_of_day,
        default=environment.get("MONOLITH_REPORT_AT", "05:00"),
        help="UTC time of the nightly report, HH:MM (default 05:00), or off",
    )
    flags = parser.parse_args(arguments)
    try:
        smtp_port = _port(environment.get("SMTP_PORT", "25"))
    except argparse.ArgumentTypeError as error:
        parser.error(f"environment variable SMTP_PORT: {error}")
    return Settings(
        host=flags.host,
        port=flags.port,
        data=flags.data,
        report_at=flags.report_at,
        smtp_host=environment.get("SMTP_HOST") or None,
        smtp_port=smtp_port,
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 0 to 65535")
    return int(text)


def _time_of_day(text: str) -> time | None:
    if text == "off":
        return None
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time of day; write it as HH:MM, or off") from None
