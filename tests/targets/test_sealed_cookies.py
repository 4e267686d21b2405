"""Sealed values, and cookies on the wire (RFC 6265, alb.md 3.1, 5.5)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.cookies import MAX_SAME_NAME, reader, set_cookie_lines, set_cookie_value
from proxy.http1.sealed import Sealer, sealed_length

NOW = 1_800_000_000.0
SEALER = Sealer(b"one key")


# --- sealed values ---


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_a_sealed_value_comes_back(text: bytes, purpose: bytes) -> None:
    sealed = SEALER.seal(purpose, text, valid_until=NOW + 1)
    assert SEALER.unseal(purpose, sealed, now=NOW) == text
    assert len(sealed) == sealed_length(len(text))


def test_another_process_with_the_same_key_reads_it_and_one_with_another_key_does_not() -> None:
    sealed = SEALER.seal(b"p", b"text", valid_until=NOW + 1)
    assert Sealer(b"one key").unseal(b"p", sealed, now=NOW) == b"text"
    assert Sealer(b"two key").unseal(b"p", sealed, now=NOW) is None


def test_the_text_cannot_be_seen_and_is_sealed_differently_each_time() -> None:
    values = {SEALER.seal(b"p", b"10.0.0.1:8000", valid_until=NOW) for _ in range(8)}
    assert len(values) == 8
    assert all(b"10.0.0" not in b64decode(value) for value in values)


@pytest.mark.parametrize(
    ("later", "expected"),
    [(-1, b"text"), (0, b"text"), (59.9, b"text"), (60, None), (10**6, None)],
    ids=["clock set back", "at once", "just in time", "at its end", "long after"],
)
def test_a_value_ends(later: float, expected: bytes | None) -> None:
    sealed = SEALER.seal(b"p", b"text", valid_until=NOW + 60)
    assert SEALER.unseal(b"p", sealed, now=NOW + later) == expected


def _sealed() -> bytes:
    # A nonce of bytes that base64 writes with + and /, which URL encoding changes.
    return Sealer(b"one key", nonce=lambda size: b"\xfb\xff" * (size // 2)).seal(b"p", b"text", valid_until=NOW + 60)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"=", id="padding alone"),
        pytest.param(b"hello", id="not base64"),
        pytest.param(b"\xff\xfe", id="not ASCII"),
        pytest.param(b64encode(b"x" * 35), id="too short for any text"),
        pytest.param(b64encode(b"x" * 400), id="random bytes"),
        pytest.param(_sealed()[:-4], id="cut short"),
        pytest.param(_sealed() + b"AAAA", id="gone on"),
        pytest.param(quote_from_bytes(_sealed(), safe="").encode(), id="URL-encoded"),
        pytest.param(_sealed().replace(b"+", b"-").replace(b"/", b"_"), id="URL-safe base64"),
        pytest.param(b'"' + _sealed() + b'"', id="quoted"),
        pytest.param(_sealed().lower(), id="lower case"),
    ],
)
def test_what_was_not_sent_like_this_is_refused(value: bytes) -> None:
    assert SEALER.unseal(b"p", _sealed(), now=NOW) == b"text"
    assert SEALER.unseal(b"p", value, now=NOW) is None


def test_no_bit_can_be_changed() -> None:
    raw = b64decode(_sealed())
    for index in range(len(raw) * 8):
        tampered = bytearray(raw)
        tampered[index // 8] ^= 1 << index % 8
        assert SEALER.unseal(b"p", b64encode(bytes(tampered)), now=NOW) is None


def test_a_value_for_one_purpose_is_none_for_another() -> None:
    assert SEALER.unseal(b"q", _sealed(), now=NOW) is None


# --- reading cookies ---


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        pytest.param([b"a=1"], [b"1"], id="alone"),
        pytest.param([b"b=2; a=1; c=3"], [b"1"], id="between others"),
        pytest.param([b"b=2;a=1;c=3"], [b"1"], id="without blanks"),
        pytest.param([b"a=1; a=2"], [b"1", b"2"], id="twice"),
        pytest.param([b"b=2", b"a=1"], [b"1"], id="in a second line"),
        pytest.param([b"A=1; aa=2; xa=3; a.=4"], [], id="other names"),
        pytest.param([b"b=a=1; c= a=1"], [], id="inside another value"),
        pytest.param([b"a=x=y="], [b"x=y="], id="a value with ="),
        pytest.param([b"a= 1 ; b=2"], [b"1"], id="blanks around the value"),
        pytest.param([b'a="1"'], [b'"1"'], id="quotes are part of the value"),
        pytest.param([b"a"], [], id="no ="),
        pytest.param([b";;; ;a=1;;"], [b"1"], id="empty pairs"),
        pytest.param([], [], id="no cookie"),
    ],
)
def test_reading_a_cookie(lines: list[bytes], values: list[bytes]) -> None:
    assert reader(b"a")(lines) == values


@given(st.lists(st.text("a=; b\t", max_size=30).map(str.encode), max_size=3))
def test_reading_agrees_with_splitting(lines: list[bytes]) -> None:
    pairs = [pair.lstrip(b" \t").partition(b"=") for line in lines for pair in line.split(b";")]
    slow = [value.strip(b" \t") for name, equals, value in pairs if name == b"a" and equals]
    assert reader(b"a")(lines) == slow[:MAX_SAME_NAME]


def test_a_client_with_thousands_of_one_cookie_gets_a_few_looked_at() -> None:
    assert len(reader(b"a")([b"a=1; " * 13_000])) == MAX_SAME_NAME


# --- writing cookies ---


def test_the_wire_form() -> None:
    lines = set_cookie_lines(((b"AWSALB", b""), (b"AWSALBCORS", b"; SameSite=None")), b"v+/=", now=0.9)
    assert lines == (
        b"Set-Cookie: AWSALB=v+/=; Expires=Thu, 08 Jan 1970 00:00:00 GMT; Path=/\r\n"
        b"Set-Cookie: AWSALBCORS=v+/=; Expires=Thu, 08 Jan 1970 00:00:00 GMT; Path=/; SameSite=None\r\n"
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([(b"Set-Cookie", b"sid=1; Path=/")], b"1", id="set"),
        pytest.param([(b"set-cookie", b" sid = 1")], b"1", id="blanks, lower case"),
        pytest.param([(b"Set-Cookie", b"sid=1"), (b"Set-Cookie", b"sid=2")], b"2", id="twice: the last counts"),
        pytest.param([(b"Set-Cookie", b"other=1; sid=2")], None, id="an attribute is no cookie"),
        pytest.param([(b"Set-Cookie", b"SID=1")], None, id="names are case-sensitive"),
        pytest.param([(b"X-Cookie", b"sid=1")], None, id="another header"),
        pytest.param([(b"Set-Cookie", b"sid=; Max-Age=0")], b"", id="cleared"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_which_value_a_response_gives_to_a_cookie(headers: list[tuple[bytes, bytes]], expected: bytes | None) -> None:
    assert set_cookie_value(headers, b"sid") == expected
