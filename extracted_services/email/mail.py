"""Where mail goes: over SMTP, or into a maildir when there is no server."""

from __future__ import annotations

import os
import secrets
import smtplib
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import localtime
from pathlib import Path
from typing import Protocol

SMTP_TIMEOUT_SECONDS = 10


class MailError(Exception):
    """The mail could not be handed over; the text says why and contains no address."""


class Mailer(Protocol):
    """Hands one message over for good, or raises `MailError`. The same `key` means the same mail."""

    def send(self, key: str, message: EmailMessage) -> None: ...


class SmtpMailer:
    """One SMTP conversation a message. A repeated one is sent again: its Message-ID tells."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def send(self, key: str, message: EmailMessage) -> None:
        try:
            with smtplib.SMTP(self._host, self._port, timeout=SMTP_TIMEOUT_SECONDS) as client:
                client.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"mail server {self._host}:{self._port}: {type(error).__name__}") from error


class MaildirMailer:
    """Delivery as maildir(5) has it: written and synced under tmp/, then renamed into new/; the key is the name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, key: str, message: EmailMessage) -> None:
        name = f"{key}.email"
        temporary = self._folder / "tmp" / f"{name}.{os.getpid()}_{secrets.token_hex(4)}"
        try:
            for folder in ("tmp", "new", "cur"):
                (self._folder / folder).mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(message.as_bytes())
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._folder / "new" / name)
            _sync_folder(self._folder / "new")
        except OSError as error:
            raise MailError(f"maildir: {type(error).__name__}") from error


def mailer_from_environment(environment: Mapping[str, str], data: Path) -> Mailer:
    """Return what `SMTP_HOST` and `SMTP_PORT` (default 25) ask for; ValueError names a bad port."""
    host, port = environment.get("SMTP_HOST"), environment.get("SMTP_PORT", "25")
    if not host:
        return MaildirMailer(data / "mail")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"environment variable SMTP_PORT: {port!r} is not a port from 0 to 65535")
    return SmtpMailer(host, int(port))


def welcome_mail(event_id: str, address: str, name: str) -> EmailMessage:
    """Compose the greeting of a new user; composed again, it has the same Message-ID.

    The monolith lists in it what the city buys. Orders belong to somebody else now, so this one only links to the shop.
    """
    message = EmailMessage()
    message["From"] = "shop@mycompany.com"
    message["To"] = address
    message["Subject"] = "Welcome to the shop"
    message["Date"] = localtime()
    message["Message-ID"] = f"<{event_id}@mycompany.com>"
    message.set_content(f"Hello {name},\n\nwelcome! Have a look around: https://mycompany.com/\n\nYour shop\n")
    return message


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
