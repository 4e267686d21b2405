"""AWS Signature Version 4 in an Authorization header.

Of botocore, which does this and hundreds of other things, the gateway would use only this page; the tests hold it to
botocore's signatures.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

UNSIGNED = "X-Amzn-Trace-Id"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; the secret parts are left out of every `repr`."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Credentials | None:
        """Those in the variables that the SDKs read, None without them."""
        key, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
        return cls(key, secret, environ.get("AWS_SESSION_TOKEN", "")) if key and secret else None


def signed(
    headers: Mapping[str, str],
    payload: bytes,
    credentials: Credentials,
    *,
    path: str,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """The headers of a POST without a query, with those that sign it: X-Amz-Date, Authorization and, if there is a
    session, X-Amz-Security-Token.

    Args:
        headers: All are signed but X-Amzn-Trace-Id, which others on the way may change; Host is among them.
        path: As it is sent; its escapes are escaped once more in what is signed, as everywhere but in S3.
        now: In seconds since the epoch.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    sent = {**headers, "X-Amz-Date": moment}
    if credentials.session_token:
        sent["X-Amz-Security-Token"] = credentials.session_token
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in sent.items() if name != UNSIGNED)
    names = ";".join(name for name, _ in lines)
    canonical = "\n".join(
        (
            "POST",
            quote(path, safe="/-_.~"),
            "",
            *(f"{name}:{value}" for name, value in lines),
            "",
            names,
            hashlib.sha256(payload).hexdigest(),
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_access_key, moment[:8], region, service)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    sent["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


@lru_cache(maxsize=64)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
