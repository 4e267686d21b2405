"""The contact list in pieces: what the reader says of them is what is said of the whole, in bounded memory."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from running_process import Running, running

from extracted_services.contacts.reader import MAX_PART_BYTES, Contact, ContactReader, PartTooLargeError
from monolith_stub.contacts import ContactList

_LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.text('aö\\"\u2028', max_size=3)
_ANY = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3)
)
_CONTACT = st.fixed_dictionaries(
    {}, optional={"name": _LEAF, "emails": st.lists(_LEAF, max_size=3), "phones": _ANY, "other": _ANY}
)
_LIST = st.fixed_dictionaries(
    {}, optional={"contacts": st.lists(_CONTACT | _ANY, max_size=5) | _ANY, "item": _ANY, "more": _ANY}
)


def read(body: bytes, cuts: list[int]) -> tuple[ContactReader, list[Contact]]:
    """Feed the body cut at these places."""
    taken: list[Contact] = []
    reader = ContactReader(taken.append, taken.clear)
    places = [0, *sorted(cuts), len(body)]
    for begin, end in itertools.pairwise(places):
        reader.feed(body[begin:end])
    reader.finish()
    return reader, taken


@settings(deadline=None)
@given(_LIST | _ANY, st.lists(st.integers(0, 60), max_size=4))
def test_pieces_are_read_as_the_whole_is(value: Any, cuts: list[int]) -> None:
    """The oracle reads all at once, as the monolith does."""
    reader, taken = read(json.dumps(value).encode(), cuts)
    try:
        whole = ContactList.model_validate(value)
    except ValidationError as error:
        places = [["body", *one["loc"]] for one in error.errors()][:20]
        assert [problem["loc"] for problem in reader.problems] == places
    else:
        assert reader.problems == []
        assert [one.model_dump() for one in taken] == [one.model_dump() for one in whole.contacts]


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b'{"contacts": [{"name": "', b"a" * 1000),
        (b'{"contacts": [', b" " * 1000),
        (b'{"more": [', b"1," * 500),
        (b"{", b" " * 1000),
        (b"no json", b"[" * 1000),
    ],
    ids=["an endless name", "no contact", "another key", "no key", "no JSON"],
)
def test_what_never_ends_is_refused(head: bytes, piece: bytes) -> None:
    reader = ContactReader(lambda _: None, lambda: None)
    reader.feed(head)
    for _ in range((MAX_PART_BYTES - len(head)) // len(piece)):
        reader.feed(piece)
    with pytest.raises(PartTooLargeError):
        reader.feed(piece)


def test_memory_does_not_grow_with_the_upload(tmp_path: Path) -> None:
    """40 MB with 800,000 hashes, where the monolith stops at 10 MB."""
    contact = '{"name":"","emails":[%s]}'

    def body() -> Any:
        yield b'{"contacts":['
        for number in range(40_000):
            emails = ",".join(f'"{number}.{other}@contacts.example.com{" " * 20}"' for other in range(20))
            yield ((contact % emails) + ("" if number == 39_999 else ",")).encode()
        yield b"]}"

    environment = {"CONTACTS_MAX_BYTES": str(64 * 1024 * 1024)}
    with running("extracted_services.contacts", tmp_path / "data", environment) as service:
        small = {"contacts": [{"emails": [f"{number}@example.com"]} for number in range(2000)]}
        service.http.post("/api/contacts/1", json=small)
        before = peak_megabytes(service)
        answer = service.http.post(
            "/api/contacts/1", content=body(), headers={"Content-Type": "application/json"}, timeout=300
        )
        grown = peak_megabytes(service) - before
    assert (answer.status_code, answer.json()) == (200, {"contacts": 40_000, "hashes": 800_000, "matched": []})
    assert grown < 30


def peak_megabytes(service: Running) -> int:
    """The most memory that the process has had so far (proc(5), VmHWM)."""
    (pid,) = set(re.findall(r"Started server process \[(\d+)\]", service.log.read_text()))
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def test_a_bad_list_changes_nothing(tmp_path: Path) -> None:
    """Not even when only the last of many is wrong."""

    def hashes(service: Running) -> int:
        connection = sqlite3.connect(service.data / "contacts.sqlite3")
        count: int = connection.execute("SELECT count(*) FROM contact_hashes").fetchone()[0]
        connection.close()
        return count

    good = [{"emails": [f"{number}@example.com"]} for number in range(5000)]
    with running("extracted_services.contacts", tmp_path / "data") as service:
        assert service.http.post("/api/contacts/1", json={"contacts": good[:10]}).status_code == 200
        assert service.http.post("/api/contacts/1", json={"contacts": [*good, 7]}).status_code == 422
        assert hashes(service) == 10
        assert service.http.post("/api/contacts/1", json={"contacts": good}).json()["hashes"] == 5000
        assert hashes(service) == 5000
