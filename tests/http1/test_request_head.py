"""Request heads: what is taken, what is refused with which status, and where the body ends."""

# ruff: noqa: E501 - one case a line

import contextlib
import time

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.model import LoadBalancerAttributes
from proxy.errors import (
    BadRequestError,
    ClientError,
    HttpVersionError,
    MethodNotAllowedError,
    TransferEncodingError,
    UriTooLongError,
)
from proxy.http1.head import (
    CHUNKED,
    MAX_LINE_BYTES,
    cannot_become_request,
    is_plainly_framed,
    is_request_target,
    parse_request_head,
    request_body_length,
)
from proxy.http1.mitigation import mitigate

DEFENSIVE = LoadBalancerAttributes()
LINE = b"GET / HTTP/1.1\r\nHost: x\r\n"
TOKEN = st.text("!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz", min_size=1, max_size=12).map(str.encode)
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, blacklist_characters="\x7f"), max_size=20).map(
    lambda text: text.encode("latin-1")
)
PATH = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30).map(
    lambda text: b"/" + text.encode()
)


def _long_line(size, prefix, suffix):
    return prefix + b"x" * (size - len(prefix) - len(suffix)) + suffix


@pytest.mark.parametrize(
    ("head", "method", "target", "minor", "headers"),
    [
        (LINE + b"\r\n", b"GET", b"/", 1, [(b"Host", b"x")]),
        (b"GET / HTTP/1.0\r\n\r\n", b"GET", b"/", 0, []),
        (b"M-!#$%&'*+.^_`|~9 /a HTTP/1.1\r\nHost:x\r\n\r\n", b"M-!#$%&'*+.^_`|~9", b"/a", 1, [(b"Host", b"x")]),
        (b"GET http://h:8/p?q HTTP/1.1\r\nHost: x\r\n\r\n", b"GET", b"http://h:8/p?q", 1, [(b"Host", b"x")]),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS", b"*", 1, [(b"Host", b"x")]),
        (LINE + b"A: \t b c \t \r\n\r\n", b"GET", b"/", 1, [(b"Host", b"x"), (b"A", b"b c")]),
        (LINE + b"A:\r\nA: b:c\r\na: d\r\n\r\n", b"GET", b"/", 1, [(b"Host", b"x"), (b"A", b""), (b"A", b"b:c"), (b"a", b"d")]),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET", b"/", 1, [(b"Host", b"")]),
    ],
    ids=["plain", "1.0 without Host", "every token byte", "absolute form", "asterisk", "white space around a value",
         "empty and repeated", "empty Host"],
)  # fmt: skip
def test_good_heads(head, method, target, minor, headers):
    request = parse_request_head(head)
    assert (request.method, request.target, request.minor, request.headers) == (method, target, minor, headers)
    assert request.fields == {name.lower(): value for name, value in headers}
    assert head.endswith(request.block + b"\r\n")


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"\r\n\r\n", BadRequestError),
        (b"GET\r\n\r\n", BadRequestError),
        (b"GET /\r\n\r\n", BadRequestError),
        (b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"G\xc3\xa9T / HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET / http/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET / HTTP/1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET / HTTP/11\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET / XTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET a HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET a?b=http://c/d HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET *a HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET ://x/ HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET  HTTP/1.1\r\nHost: x\r\n\r\n", BadRequestError),
        (b"GET / HTTP/1.1\r\n\r\n", BadRequestError),
        (LINE + b"A: \x00\r\n\r\n", BadRequestError),
        (LINE + b"A: b\rC: d\r\n\r\n", BadRequestError),
        (LINE + b"A: b\nC: d\r\n\r\n", BadRequestError),
        (LINE + _long_line(MAX_LINE_BYTES + 1, b"A: ", b"") + b"\r\n\r\n", BadRequestError),
        (_long_line(MAX_LINE_BYTES + 1, b"GET /", b" HTTP/1.1") + b"\r\nHost: x\r\n\r\n", UriTooLongError),
        (_long_line(MAX_LINE_BYTES + 1, b"GET /\x00", b" HTTP/1.1") + b"\r\nHost: x\r\n\r\n", UriTooLongError),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", MethodNotAllowedError),
        (b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", MethodNotAllowedError),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: x\r\n\r\n", MethodNotAllowedError),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", HttpVersionError),
        (b"PRI * HTTP/2.0\r\n\r\n", HttpVersionError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else repr(value[:40]),
)
def test_bad_heads(head, error):
    with pytest.raises(ClientError):
        parse_request_head(head)
    with pytest.raises(error) as raised:
        mitigate(head, DEFENSIVE)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "head",
    [
        _long_line(MAX_LINE_BYTES, b"GET /", b" HTTP/1.1") + b"\r\nHost: x\r\n\r\n",
        LINE + _long_line(MAX_LINE_BYTES, b"A: ", b"") + b"\r\n\r\n",
        LINE + b"A: b\r\n" * 10_000 + b"\r\n",
    ],
    ids=["request line", "header line", "many headers"],
)
def test_a_line_of_16_k_is_taken(head):
    parse_request_head(head)


# Body length


@pytest.mark.parametrize(
    ("lines", "length", "needs_judgement"),
    [
        (b"", 0, False),
        (b"Content-Length: 0\r\n", 0, False),
        (b"content-LENGTH: 12\r\n", 12, False),
        (b"Content-Length: 007\r\n", 7, False),
        (b"Content-Length: 999999999999999999\r\n", 999_999_999_999_999_999, False),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", 5, True),
        (b"Transfer-Encoding: chunked\r\n", CHUNKED, False),
        (b"Transfer-Encoding: \t CHUNKED \r\n", CHUNKED, True),
        (b"Transfer-Encoding: identity\r\n", 0, True),
        (b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n", 3, True),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", CHUNKED, True),
        (b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n", CHUNKED, True),
    ],
    ids=lambda value: repr(value)[:70],
)
def test_body_length(lines, length, needs_judgement):
    head = parse_request_head(b"POST / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert request_body_length(head) == length
    if lines:
        assert is_plainly_framed(head) is not needs_judgement


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (b"Content-Length:\r\n", BadRequestError),
        (b"Content-Length: a\r\n", BadRequestError),
        (b"Content-Length: +1\r\n", BadRequestError),
        (b"Content-Length: 1 1\r\n", BadRequestError),
        (b"Content-Length: 1, 1\r\n", BadRequestError),
        (b"Content-Length: \xb2\r\n", BadRequestError),
        (b"Content-Length: 9223372036854775808\r\n", BadRequestError),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n", BadRequestError),
        (b"Content-Length: 1\r\nContent-Length: 01\r\n", BadRequestError),
        (b"Content-Length: 1\r\nX: y\r\ncontent-length: 2\r\n", BadRequestError),
        (b"Transfer-Encoding:\r\n", TransferEncodingError),
        (b"Transfer-Encoding: gzip\r\n", TransferEncodingError),
        (b"Transfer-Encoding: gzip, chunked\r\n", TransferEncodingError),
        (b"Transfer-Encoding: chunked, chunked\r\n", BadRequestError),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BadRequestError),
        (b"Transfer-Encoding: chunked;q=1\r\n", TransferEncodingError),
        (b"Transfer-Encoding: \x0bchunked\r\n", TransferEncodingError),
        (b"Transfer-Encoding: chunked\x0c\r\n", TransferEncodingError),
        (b"Transfer-Encoding: chunk\xe9d\r\n", TransferEncodingError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else repr(value)[:70],
)
def test_bad_framing(lines, error):
    with pytest.raises(error) as raised:
        mitigate(b"POST / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n", DEFENSIVE)
    assert type(raised.value) is error


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("line", [b"Content-Length: 0", b"Content-Length: 1", b"Transfer-Encoding: chunked"])
def test_a_request_without_a_body_by_nature_needs_judgement(method, line):
    assert not is_plainly_framed(parse_request_head(method + b" / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"))


def test_a_coding_in_http_1_0_needs_judgement():
    assert not is_plainly_framed(parse_request_head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"))


# Properties


def _read(head):
    """As the doors do."""
    try:
        return parse_request_head(head)
    except ClientError:
        return mitigate(head, DEFENSIVE).head


@given(TOKEN, PATH, st.lists(st.tuples(TOKEN, VALUE), max_size=8))
def test_a_well_formed_request_reads_as_by_h11(method, target, headers):
    framing = {b"content-length", b"transfer-encoding", b"host", b"expect"}
    headers = [(b"Host", b"x"), *((name, value) for name, value in headers if name.lower() not in framing)]
    head = b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, b"".join(b"%s: %s\r\n" % header for header in headers))
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(head)
    try:
        event = oracle.next_event()
    except h11.RemoteProtocolError:
        event = None
    if method in (b"TRACE", b"CONNECT"):
        with pytest.raises(MethodNotAllowedError):
            _read(head)
        return
    assert event is not None, head
    request = _read(head)
    assert (request.method, request.target) == (event.method, event.target)
    assert [(name.lower(), value) for name, value in request.headers] == list(event.headers)


@given(
    st.lists(
        st.sampled_from(
            [b"GET", b" ", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: x", b":", b"\x00", b"A: b",
             b"Content-Length: 1", b"Transfer-Encoding: chunked", b"\t", b"\xff", b"http://", b"*", b"?"]
        ),
        max_size=14,
    ).map(b"".join)
)  # fmt: skip
@example(b"")
def test_any_bytes_give_a_request_or_a_declared_error(data):
    cannot_become_request(data)
    try:
        request = parse_request_head(data + b"\r\n\r\n")
        request_body_length(request)
    except ClientError:
        return
    assert data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")
    assert is_request_target(request.target)


@given(TOKEN, PATH, st.lists(st.tuples(TOKEN, VALUE), max_size=4), st.data())
def test_no_beginning_of_a_good_head_is_given_up(method, target, headers, data):
    head = b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, b"".join(b"%s: %s\r\n" % header for header in headers))
    assert not cannot_become_request(head[: data.draw(st.integers(0, len(head)))])


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02", b"GET / HTTP/1.1\nHost: x\r", b"\n", b"{", b"\x00", b"GET / HTTP/1.1\r\nA: b\n"]
)
def test_a_hopeless_beginning_is_given_up_at_once(data):
    assert cannot_become_request(data)


@pytest.mark.parametrize(
    ("prefix", "unit", "suffix"),
    [
        (b"", b"A", b""),
        (b"GET /", b"/", b""),
        (b"GET /", b" /", b" HTTP/1.1\r\n\r\n"),
        (LINE, b"A: b\r\n", b"\x00"),
        (LINE, b"A:", b"\x00\r\n\r\n"),
        (LINE, b"A: \r\n", b"\r\n"),
        (LINE + b"A:", b" \t", b"\x00\r\n\r\n"),
        (LINE + b"A:", b" \t", b"\r\n\r\n"),
        (b"GET a://", b"a://", b"\r\n\r\n"),
        (LINE + b"Transfer-Encoding:", b"chunked,", b"\r\n\r\n"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_head_costs_linear_time(prefix, unit, suffix):
    """Steps of the matcher cannot be counted, so the bound is on seconds, and generous: 1 MB, far over any limit."""

    def seconds(size):
        head = prefix + unit * (size // len(unit)) + suffix
        best = 9.0
        for _ in range(3):
            began = time.thread_time()
            cannot_become_request(head)
            with contextlib.suppress(ClientError):
                request_body_length(parse_request_head(head))
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(1 << 20) < 16 * max(seconds(1 << 18), 0.002)
