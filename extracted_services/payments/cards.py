"""Card details: checked, turned into a token and forgotten."""

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field, SecretStr, StringConstraints, field_validator, model_validator

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
]

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


class CardToken(NamedTuple):
    """What is kept of a card: no way leads back to its number.

    Attributes:
        token: Stands for the card in this payment.
        fingerprint: Tells two cards apart.
        brand: The scheme, by the first digit.
        last4: The last digits, as receipts show them.
    """

    token: str
    fingerprint: str
    brand: str
    last4: str


def tokenize(card: Card, key: bytes) -> CardToken:
    """Return what may be stored; holder, expiry and code are not among it."""
    number = card.number.get_secret_value()
    brand = _BRANDS.get(number[0], "other")
    return CardToken(f"tok_{secrets.token_urlsafe(18)}", fingerprint(number, key), brand, number[-4:])


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
