"""What the user team tells others: `user.signed_up`. A consumer keys what must not happen twice on `id`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

USER_SIGNED_UP = "user.signed_up"


class Event(NamedTuple):
    """An event as it is published: a JSON text, and attributes that subscriptions filter on."""

    body: str
    attributes: Mapping[str, str]


def user_signed_up(user: Mapping[str, Any], trace_headers: Mapping[str, str]) -> Event:
    """Tell of a new user. Password and phone number stay here."""
    content = {
        "id": str(uuid.uuid4()),
        "type": USER_SIGNED_UP,
        "version": 1,
        "time": user["created_at"],
        "data": {"user_id": user["id"], "email": user["email"], "name": user["name"], "city": user["city"]},
    }
    return Event(json.dumps(content), {"event_type": USER_SIGNED_UP, **trace_headers})
