"""Between HTTP/2 fields and HTTP/1.1 lines: nothing that comes in one field becomes two lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ClientError
from proxy.http1.body import BadBodyError, ChunkedBody, framed
from proxy.http1.desync import Severity, classify
from proxy.http1.head import CHUNKED, MalformedResponseError, RequestHead, join_fields, parse_response_head
from proxy.http2.allowance import Allowance
from proxy.http2.fields import request_fields, request_of, response_fields, response_head_of, trailer_lines
from proxy.http2.grpc import error_headers, is_grpc

PSEUDO = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/")]
nasty = st.binary(max_size=6) | st.sampled_from([b"a", b"\r\n", b"x: y", b"host", b"a\r\nb: c", b" ", b":path", b"te"])
pairs = st.lists(st.tuples(nasty, nasty), max_size=4)


@given(pairs, st.sampled_from(PSEUDO), nasty)
def test_what_request_of_takes_is_one_well_formed_request(more, which, value):
    """Read again as HTTP/1.1 it has the same method, target and headers, whatever was in the fields."""
    fields = [(name, value if (name, old) == which else old) for name, old in PSEUDO]
    try:
        request = request_of([*fields, *more])
    except ClientError:
        return
    block = join_fields(request.headers)
    head = b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method, request.target, block)
    assert classify(head).severity < Severity.SEVERE
    assert head.count(b"\n") == head.count(b"\r") == len(request.headers) + 2
    assert RequestHead.of(request.method, request.target, 1, block).headers == request.headers


@given(pairs)
def test_what_response_head_of_takes_is_one_well_formed_response(more):
    try:
        head = response_head_of([(b":status", b"200"), *more], chunked=False)
    except MalformedResponseError:
        return
    again = parse_response_head(b"HTTP/1.1 200 OK\r\n%s\r\n" % head.block)
    assert again.headers == more


@given(pairs)
def test_what_trailer_lines_takes_ends_a_chunked_body(more):
    try:
        lines = trailer_lines(more)
    except BadBodyError:
        return
    wire = framed(b"abc", complete=True, trailers=lines)
    found: list[bytes] = []
    body = ChunkedBody([], found)
    assert body.feed(wire) == len(wire)
    assert body.complete
    assert b"".join(found) == lines


@pytest.mark.parametrize(
    ("names", "invalid"),
    [
        pytest.param(["accept", "x-1"], [], id="letters, digits and hyphens"),
        pytest.param(["x_y", "a", "b.c"], ["x_y", "b.c"], id="others"),
    ],
)
@pytest.mark.parametrize("drops", [True, False])
def test_headers_with_invalid_names_are_told_and_dropped_if_so_set(names, invalid, drops):
    """alb.md 6.4; a request is malformed whether or not what makes it so would be dropped."""
    fields = [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"), (b":authority", b"a")]
    request = request_of([*fields, *((name.encode(), b"1") for name in names)], drops_invalid_names=drops)

    kept = [name for name in names if not (drops and name in invalid)]
    assert request.invalid_names is bool(invalid)
    assert [name for name, _ in request.headers] == [b"Host", *(name.encode() for name in kept)]
    assert request.fields.keys() == {b"host", *(name.encode() for name in kept)}
    with pytest.raises(ClientError):
        request_of([(b"x_y", b"1"), *fields], drops_invalid_names=drops)


def test_a_request_to_a_target():
    head = b"POST /a HTTP/1.1\r\nHost: b:1\r\nX-One: 1\r\nconnection: x\r\ntransfer-encoding: chunked\r\n\r\n"
    fields, length = request_fields(head, "http")
    assert length == CHUNKED
    assert fields == [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"b:1"),
        (b":path", b"/a"),
        (b"x-one", b"1"),
    ]


def test_grpc_servers_are_told_that_trailers_pass():
    fields, _ = request_fields(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n", "http")
    assert (b"te", b"trailers") in fields


def test_a_response_to_a_client_has_no_connection_specific_field():
    block = b"Connection: close\r\nKeep-Alive: 1\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nSet-Cookie: B=2\r\n"
    assert response_fields(200, block) == [(b":status", b"200"), (b"x-a", b"1"), (b"set-cookie", b"B=2")]


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"Application/gRPC; charset=x", True),
        (b"application/grpc-web", False),
        (b"application/grpcx", False),
        (b"text/plain", False),
    ],
)
def test_what_is_grpc(content_type, expected):
    assert is_grpc({b"content-type": content_type}) is expected


@pytest.mark.parametrize(("status", "code"), [(502, 14), (503, 14), (504, 14), (400, 13), (403, 7), (464, 2), (500, 2)])
def test_error_codes(status, code):
    assert dict(error_headers(status))[b"grpc-status"] == b"%d" % code


def test_an_allowance_is_so_many_at_once_and_so_many_a_second():
    allowance = Allowance(3, 2.0)
    assert [allowance.spend(10.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.spend(11.0)
    assert not allowance.spend(11.0)
    assert [allowance.spend(100.0) for _ in range(4)] == [True, True, True, False]
