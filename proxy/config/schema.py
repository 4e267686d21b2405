"""The JSON Schema of `routes.yaml`, from the same description that reads it."""

from __future__ import annotations

from typing import Any

from proxy.config.environment import REFERENCE
from proxy.config.table import TABLE


def json_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of the whole language.

    It accepts every table that `load` accepts, and also what `load` refuses only because it does nothing yet.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "routes.yaml",
        "description": "Listener rules of an Application Load Balancer, for the Strangler Fig gateway.",
        **TABLE.schema(),
        "$defs": {
            "environment": {
                "type": "string",
                "pattern": REFERENCE,
                "description": "Holds ${NAME} or ${NAME:-default}, replaced from the environment.",
            }
        },
    }
