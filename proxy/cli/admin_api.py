"""Questions to the admin port of a running gateway."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final

import httpx

from proxy.cli.flags import UsageError

DEFAULT_URL: Final = "http://127.0.0.1:9901"
ANSWER_SECONDS: Final = 30.0


def add_admin_url(parser: argparse.ArgumentParser) -> None:
    """Declare where the running gateway is."""
    parser.add_argument("--admin-url", metavar="URL", default=DEFAULT_URL, help="admin port of the running gateway")


def get_document(url: str, path: str, **parameters: Sequence[str]) -> dict[str, Any]:
    """Return the JSON document at this path of the admin API.

    Raises:
        UsageError: Nobody listens there, or it is no gateway's admin port.
    """
    try:
        # No proxy of the environment stands between two processes on one machine.
        with httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False) as client:
            response = client.get(path, params={name: list(values) for name, values in parameters.items()})
            document = response.json() if response.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UsageError(
            f"no answer from {url} ({error}): is the gateway running, or is --admin-url another?"
        ) from None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UsageError(
            f"{url}{path} answers {response.status_code}: that is not the admin port of a gateway like this"
        )
    return document
