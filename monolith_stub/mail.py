"""Sending mail inside the request, as monoliths do: over SMTP, or into a maildir when there is no server."""

import os
import secrets
import smtplib
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from pathlib import Path
from typing import Protocol

SMTP_TIMEOUT_SECONDS = 10


class MailError(Exception):
    """The mail could not be handed over; the text says why and contains no address."""


class Mailer(Protocol):
    """Hands one message over for good, or raises `MailError`."""

    def send(self, message: EmailMessage) -> None: ...


class SmtpMailer:
    """One SMTP conversation a message."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def send(self, message: EmailMessage) -> None:
        try:
            with smtplib.SMTP(self._host, self._port, timeout=SMTP_TIMEOUT_SECONDS) as client:
                client.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"mail server {self._host}:{self._port}: {type(error).__name__}") from error


class MaildirMailer:
    """Delivery as maildir(5) has it: written and synced under tmp/, then renamed into new/."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def send(self, message: EmailMessage) -> None:
        name = f"{time.time_ns()}.{os.getpid()}_{secrets.token_hex(4)}.shop"
        temporary = self._folder / "tmp" / name
        try:
            with temporary.open("xb") as file:
                file.write(message.as_bytes())
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._folder / "new" / name)
            _sync_folder(self._folder / "new")
        except OSError as error:
            raise MailError(f"maildir: {type(error).__name__}") from error


def welcome_mail(address: str, name: str, favourites: Sequence[str]) -> EmailMessage:
    """Compose the greeting of a new user with what their city likes."""
    message = EmailMessage()
    message["From"] = "shop@mycompany.com"
    message["To"] = address
    message["Subject"] = "Welcome to the shop"
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid(domain="mycompany.com")
    products = "\n".join(f"  - {product}" for product in favourites)
    message.set_content(f"Hello {name},\n\nwelcome! This is what your city likes:\n\n{products}\n\nYour shop\n")
    return message


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
