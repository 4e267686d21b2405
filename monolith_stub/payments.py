"""Payments: card details are checked, turned into a token and forgotten."""

import contextlib
import hashlib
import hmac
import os
import secrets
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from monolith_stub.api import Here, Id, Line, not_found, now

router = APIRouter(prefix="/api/payments", tags=["payments"])

COLUMNS = "id, order_id, amount_cents, card_token, brand, last4, created_at"
_BRANDS = {"4": "visa", "5": "mastercard", "2": "mastercard", "3": "amex", "6": "discover"}


class Card(BaseModel):
    """Card details. `SecretStr` keeps number and code out of every repr and traceback."""

    number: SecretStr
    expiry_month: Annotated[int, Field(ge=1, le=12)]
    expiry_year: Annotated[int, Field(ge=2000, le=2100)]
    cvc: SecretStr
    holder: Line

    @field_validator("number")
    @classmethod
    def _valid_number(cls, number: SecretStr) -> SecretStr:
        digits = number.get_secret_value().replace(" ", "").replace("-", "")
        if not passes_luhn(digits):
            raise ValueError("this is not a card number")
        return SecretStr(digits)

    @field_validator("cvc")
    @classmethod
    def _valid_code(cls, cvc: SecretStr) -> SecretStr:
        digits = cvc.get_secret_value()
        if not (digits.isascii() and digits.isdigit() and len(digits) in (3, 4)):
            raise ValueError("the code has three or four digits")
        return cvc

    @model_validator(mode="after")
    def _not_expired(self) -> "Card":
        today = datetime.now(UTC)
        if (self.expiry_year, self.expiry_month) < (today.year, today.month):
            raise ValueError("the card has expired")
        return self


class NewPayment(BaseModel):
    """The body of a payment: the order is always paid in full."""

    order_id: Id
    card: Card


@router.post("", status_code=201)
def pay(payment: NewPayment, shop: Here, response: Response) -> dict[str, Any]:
    """Pay an order; 422 for an unknown order or bad card details, 409 if the order is paid already."""
    number = payment.card.number.get_secret_value()
    with shop.database.write() as connection:
        order = connection.execute(
            "SELECT status, total_cents FROM orders WHERE id = ?", (payment.order_id,)
        ).fetchone()
        if order is None:
            raise HTTPException(422, f"there is no order {payment.order_id}")
        if order["status"] == "paid":
            raise HTTPException(409, f"order {payment.order_id} is already paid")
        connection.execute("UPDATE orders SET status = 'paid' WHERE id = ?", (payment.order_id,))
        row = connection.execute(
            "INSERT INTO payments "
            "(order_id, amount_cents, card_token, card_fingerprint, brand, last4, created_at) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING {COLUMNS}",
            (
                payment.order_id,
                order["total_cents"],
                f"tok_{secrets.token_urlsafe(18)}",
                fingerprint(number, shop.card_key),
                _BRANDS.get(number[0], "other"),
                number[-4:],
                now(),
            ),
        ).fetchone()
        paid = dict(row)
    response.headers["Location"] = f"/api/payments/{paid['id']}"
    return paid


@router.get("/{payment_id}")
def read_payment(payment_id: Id, shop: Here) -> dict[str, Any]:
    """Return one payment."""
    with shop.database.read() as connection:
        row: sqlite3.Row | None = connection.execute(
            f"SELECT {COLUMNS} FROM payments WHERE id = ?", (payment_id,)
        ).fetchone()
    if row is None:
        raise not_found("payment", payment_id)
    return dict(row)


def passes_luhn(digits: str) -> bool:
    """Tell whether these are 13 to 19 digits with a right check digit (ISO/IEC 7812-1, annex B)."""
    if not (digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19):
        return False
    total = 0
    for position, digit in enumerate(map(int, reversed(digits))):
        total += digit if position % 2 == 0 else digit * 2 - 9 * (digit > 4)
    return total % 10 == 0


def fingerprint(number: str, key: bytes) -> str:
    """Return what tells two cards apart without telling their numbers: a keyed hash.

    A hash without a key could be reversed by trying all numbers.
    """
    return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()


def load_card_key(path: Path) -> bytes:
    """Read the key of the fingerprints; made at the first start, readable by the owner only."""
    if not path.exists():
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mkstemp makes it private (0600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        # A link is made only if there is none yet: of two first starts, one key wins for both.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        os.unlink(temporary)
    return path.read_bytes()
