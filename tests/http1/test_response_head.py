"""Response heads: what is taken, what is malformed, and where the body ends."""

# ruff: noqa: E501 - one case a line

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.head import (
    CHUNKED,
    UNTIL_CLOSE,
    MalformedResponseError,
    list_items,
    parse_response_head,
    response_body_length,
)


@pytest.mark.parametrize(
    ("line", "status", "reason", "minor"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK", 1),
        (b"HTTP/1.0 404 Not Found", 404, b"Not Found", 0),
        (b"HTTP/1.1 200 ", 200, b"", 1),
        (b"HTTP/1.1 200", 200, b"", 1),
        (b"HTTP/1.1 999 \xfcber\t1", 999, b"\xfcber\t1", 1),
        (b"HTTP/1.1 103 Early Hints", 103, b"Early Hints", 1),
    ],
)
def test_good_status_lines(line, status, reason, minor):
    head = parse_response_head(line + b"\r\nA: b\r\n\r\n")
    assert (head.status, head.reason, head.minor, head.headers) == (status, reason, minor, [(b"A", b"b")])


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 099 X\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n", b"http/1.1 200 OK\r\n\r\n", b"HTTP/1.2 200 OK\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n", b"HTTP/1.1 200 O\rK\r\n\r\n", b"HTTP/1.1 200 O\x00K\r\n\r\n", b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    ],
    ids=repr,
)  # fmt: skip
def test_malformed_heads(head):
    with pytest.raises(MalformedResponseError):
        parse_response_head(head)


@pytest.mark.parametrize(
    ("status", "lines", "to_head", "length"),
    [
        (200, b"", False, UNTIL_CLOSE),
        (200, b"Content-Length: 5\r\n", False, 5),
        (200, b"Content-Length: 0\r\n", False, 0),
        (200, b"Transfer-Encoding: Chunked\r\n", False, CHUNKED),
        (200, b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", False, CHUNKED),
        (200, b"Content-Length: 5\r\n", True, 0),
        (200, b"Transfer-Encoding: chunked\r\n", True, 0),
        (200, b"", True, 0),
        (204, b"Content-Length: 5\r\n", False, 0),
        (304, b"Content-Length: 5\r\n", False, 0),
        (103, b"", False, 0),
        (205, b"Content-Length: 0\r\n", False, 0),
        (500, b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\n", False, 5),
    ],
)
def test_body_length(status, lines, to_head, length):
    head = parse_response_head(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, lines))
    assert response_body_length(head, to_head=to_head) == length


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: x\r\n", b"Content-Length: -1\r\n", b"Content-Length: 1, 1\r\n", b"Content-Length:\r\n",
        b"Content-Length: 9999999999999999999\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n", b"Transfer-Encoding: gzip\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n", b"Transfer-Encoding:\r\n",
    ],
    ids=repr,
)  # fmt: skip
def test_bad_framing(lines):
    head = parse_response_head(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")
    with pytest.raises(MalformedResponseError):
        response_body_length(head, to_head=False)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_head_or_the_declared_error(data):
    for prefix in (b"", b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\n"):
        with contextlib.suppress(MalformedResponseError):
            response_body_length(parse_response_head(prefix + data + b"\r\n\r\n"), to_head=False)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (b"a", [b"a"]),
        (b"A, b ,\tC", [b"a", b"b", b"c"]),
        (b",, ,", []),
        (b"", []),
        (b"keep-alive,close", [b"keep-alive", b"close"]),
    ],
)
def test_list_items(value, items):
    assert list_items(value) == items
