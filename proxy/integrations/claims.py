"""What a request's verified token says, as API Gateway's authorizer tells it."""

from __future__ import annotations

import base64
import json
from typing import Any


def authorizer(token: bytes) -> dict[str, Any] | None:
    """`claims` and `scopes` of a token that jwt-validation let pass; None without one.

    Every claim is text. Of scopes nothing is asked here, so there are none, as on a route without them.
    """
    if not token:
        return None
    payload = token.split(b".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    return {"claims": {name: _text(value) for name, value in claims.items()}, "scopes": None}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    return json.dumps(value, separators=(",", ":"))
