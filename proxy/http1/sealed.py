"""Values that a client keeps for the gateway and can neither read, change, nor use in another place.

A sealed value is AES-256-GCM over an end of validity and a text, in base64:

    base64( nonce (12 bytes) | encrypted( seconds since 1970 (8 bytes) | text ) | tag (16 bytes) )

The purpose is authenticated with it and not written: a value that was sealed for one purpose is nonsense for any other.
Nonces are random, which is sound for some 2^32 values of one key (NIST SP 800-38D 8.3); a busy gateway makes those in
weeks, so a key should be changed from time to time.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_END_BYTES: Final = 8


class Sealer:
    """Seals and unseals with one key.

    Args:
        key: Secret bytes with at least 128 bits of chance in them, of any length.
        nonce: Returns that many bytes which never repeat; an argument for tests only.
    """

    __slots__ = ("_cipher", "_key", "_nonce")

    def __init__(self, key: bytes, *, nonce: Callable[[int], bytes] = os.urandom) -> None:
        self._cipher = AESGCM(sha256(b"strangler cookies v1\0" + key).digest())
        self._key = key
        self._nonce = nonce

    def derive(self, purpose: bytes, length: int) -> bytes:
        """Secret bytes that are always the same for this key and purpose, and tell nothing of either (RFC 5869)."""
        return HKDF(SHA256(), length, salt=None, info=b"strangler derived v1\0" + purpose).derive(self._key)

    def seal(self, purpose: bytes, text: bytes, *, valid_until: float) -> bytes:
        """Return `text` as a cookie value that `unseal` accepts until `valid_until`, in seconds since 1970."""
        nonce = self._nonce(NONCE_BYTES)
        plain = int(valid_until).to_bytes(_END_BYTES, "big") + text
        return b64encode(nonce + self._cipher.encrypt(nonce, plain, purpose))

    def unseal(self, purpose: bytes, sealed: bytes, *, now: float) -> bytes | None:
        """Return the text, or None if this is not a value that this key sealed for this purpose, or is out of date.

        The value must be as it was sent: a URL-encoded one is refused (alb.md 3.1).
        """
        try:
            raw = b64decode(sealed, validate=True)
        except Base64Error:
            return None
        if len(raw) < NONCE_BYTES + _END_BYTES + TAG_BYTES:
            return None
        try:
            plain = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose)
        except InvalidTag:
            return None
        if int.from_bytes(plain[:_END_BYTES], "big") <= now:
            return None
        return plain[_END_BYTES:]


def sealed_length(text_length: int) -> int:
    """How long the sealed value of a text of this length is."""
    return -(-(NONCE_BYTES + _END_BYTES + text_length + TAG_BYTES) // 3) * 4
