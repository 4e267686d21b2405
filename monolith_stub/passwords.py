"""Passwords as salted scrypt hashes (RFC 7914)."""

import hashlib
import hmac
import secrets

# The scrypt paper's figures for interactive logins: 16 MB and about 30 ms of one core a hash, which is why
# signup and login need the processor more than the rest of the shop does. (OWASP asks for N = 2**17 today.)
_N, _R, _P = 2**14, 8, 1
_MAX_MEMORY_BYTES = 32 * 1024 * 1024


def hash_password(password: str, salt: bytes | None = None) -> str:
    """Return `scrypt$N$r$p$salt$hash` with a fresh salt unless one is given."""
    salt = salt or secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_scrypt(password, salt, _N, _R, _P).hex()}"


def verify_password(password: str, stored: str) -> bool:
    """Tell whether the password gives the stored hash; takes as long as hashing."""
    _, n, r, p, salt, expected = stored.split("$")
    actual = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(actual, bytes.fromhex(expected))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY_BYTES, dklen=32)
