"""AWS's own emulator as the oracle for our Runtime API: the same handler and event, the same bytes.

Where it is no oracle: it answers a time-out with plain text and an exit before the start with nothing, and it hands on
what is not JSON, which Lambda's API refuses.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aws_rie import emulated, post
from function_host import function, running_host

_REQUEST_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.mark.system
@pytest.mark.parametrize(
    ("handler", "event"),
    [
        ("app.echo", b'{"a": [1, 2.5, null, true], "u": "\xc3\xbc"}'),
        ("app.echo", b'"text"'),
        ("app.echo", b"null"),
        ("app.talk", b"{}"),
        ("app.fail", b"{}"),
        ("app.unserialisable", b"{}"),
        ("broken_import.handler", b"{}"),
        ("broken_init.handler", b"{}"),
        ("app.not_there", b"{}"),
        ("app.die", b'{"status": 7}'),
        ("app.die", b'{"status": 0}'),
        ("app.killed", b"{}"),
        ("app.big", b'{"size": 7000000}'),
        ("app.big", b'{"size": 6291000}'),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else value,
)
def test_the_same_bytes_as_from_aws_emulator(tmp_path: Path, handler: str, event: bytes) -> None:
    with emulated(handler) as url:
        expected = post(url, event)
    with running_host(tmp_path, {"f": function(handler)}) as host:
        got = post(f"{host.endpoint}/2015-03-31/functions/f/invocations", event)
    assert _REQUEST_ID.sub(b"ID", got) == _REQUEST_ID.sub(b"ID", expected)
