"""What stands for an e-mail address or a phone number."""

import hashlib


def contact_hash(value: str) -> bytes:
    """Return the SHA-256 of an e-mail address in lower case, or of a phone number in E.164 form."""
    value = value.strip().lower()
    if "@" not in value:
        digits = "".join(character for character in value if character.isascii() and character.isdigit())
        value = "+" + (digits[2:] if digits.startswith("00") else digits)
    return hashlib.sha256(value.encode()).digest()
