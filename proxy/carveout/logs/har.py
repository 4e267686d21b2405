"""HAR, what a browser's network panel saves, as lines of the gateway's own JSON format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.carveout.logs.files import LogFile, blocks
from proxy.carveout.logs.problems import LogError

_LARGEST: Final = 512 << 20
"""Bytes of a HAR file; it is one JSON document and is read as a whole."""


def is_har(first: str) -> bool:
    """Whether a file that begins like this is HAR and not JSON lines."""
    start = first.lstrip("\ufeff \t\r\n")[:4096]
    return start.startswith("{") and '"log"' in "".join(start.split())[:16]


def to_json_lines(file: LogFile, into: Path) -> LogFile:
    """Write the entries of a HAR file as JSON lines into a new file.

    The target group is the host that was asked. A browser sees a target through the network: `wait` is the time to
    the first byte as the browser saw it. What came from its cache never was a request.

    Raises:
        LogError: It is too large, or no HAR.
    """
    data = bytearray()
    for block in blocks(file):
        data += block
        if len(data) > _LARGEST:
            raise LogError(f"{file.path}: a HAR file of more than {_LARGEST >> 20} MiB; save it in parts")
    try:
        entries = json.loads(data.decode("utf-8-sig"))["log"]["entries"]
        lines = list(_lines(entries))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogError(f"{file.path}: not a HAR file: {type(error).__name__} {error}") from None
    path = into / f"{file.path.name}.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return LogFile(path, path.stat().st_size, False)


def _lines(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        request, response, timings = entry["request"], entry["response"], entry.get("timings", {})
        url = urlsplit(request["url"])
        if url.scheme not in ("http", "https", "ws", "wss") or response.get("_fromCache"):
            continue
        agents = [field["value"] for field in request.get("headers", []) if field["name"].lower() == "user-agent"]
        first_byte, receive = _seconds(timings.get("wait")), _seconds(timings.get("receive"))
        sending = sum(_seconds(timings.get(part)) for part in ("blocked", "dns", "connect", "send"))
        yield json.dumps(
            {
                "time": entry["startedDateTime"],
                "client": entry.get("serverIPAddress") and "browser",
                "method": request["method"],
                "target": url.path or "/",
                "status": response.get("status", 0),
                "target_group": url.netloc,
                "target_id": url.netloc,
                "request_processing": sending,
                "target_processing": first_byte,
                "response_processing": receive,
                "total": sending + first_byte + receive,
                "request_bytes": _bytes(request),
                "response_bytes": _bytes(response),
                "user_agent": agents[0] if agents else None,
                "tunnel": url.scheme in ("ws", "wss"),
            }
        )


def _seconds(milliseconds: float | None) -> float:
    """-1 is what never happened."""
    return max(milliseconds or 0.0, 0.0) / 1000


def _bytes(message: dict[str, Any]) -> int:
    return sum(max(message.get(part) or 0, 0) for part in ("headersSize", "bodySize"))
