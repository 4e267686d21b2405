"""Where bodies end, whatever pieces they come in."""

# ruff: noqa: E501 - one case a line

import sys

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.body import (
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    BadBodyError,
    BodyUntilClose,
    ChunkedBody,
    SizedBody,
    body_of,
    decode_chunked,
)
from proxy.http1.head import CHUNKED, UNTIL_CLOSE

CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
EXTENSION = st.sampled_from([b"", b";", b";a", b";a=b", b' ; a="b;c"', b"\t;\xff"])
TRAILERS = st.lists(st.sampled_from([b"A: b\r\n", b"X-Sum:\r\n", b"b:\tc \r\n"]), max_size=3)
AFTER = st.sampled_from([b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n", b"\x00"])


@st.composite
def chunked(draw):
    chunks = draw(CHUNKS)
    framed = b""
    for chunk in chunks:
        size = draw(st.sampled_from([b"%x", b"%X", b"0%x", b"000%X"])) % len(chunk)
        framed += size + draw(EXTENSION) + b"\r\n" + chunk + b"\r\n"
    framed += draw(st.sampled_from([b"0", b"000"])) + draw(EXTENSION) + b"\r\n" + b"".join(draw(TRAILERS)) + b"\r\n"
    return b"".join(chunks), framed


def _feed(data, cuts, sink):
    """Feed in pieces; return how many bytes were the body's, and whether it is complete."""
    body = ChunkedBody(sink)
    taken = 0
    position = 0
    for cut in [*sorted(cuts), len(data)]:
        piece = data[position:cut]
        position = max(position, cut)
        if piece and not body.complete:
            used = body.feed(piece)
            taken += used
            if used < len(piece):
                assert body.complete
                break
    return taken, body.complete


@given(chunked(), AFTER, st.data())
def test_any_pieces_give_the_same_end_and_payload(message, after, data):
    payload, framed = message
    cuts = data.draw(st.lists(st.integers(0, len(framed + after)), max_size=12))
    sink = []
    assert _feed(framed + after, cuts, sink) == (len(framed), True)
    assert b"".join(sink) == payload


@given(chunked())
def test_byte_by_byte_gives_the_same_end_and_payload(message):
    payload, framed = message
    sink = []
    assert _feed(framed + b"x", range(1, len(framed) + 1), sink) == (len(framed), True)
    assert b"".join(sink) == payload


@given(chunked())
def test_a_well_formed_body_reads_as_by_h11(message):
    payload, framed = message
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + framed)
    received = b""
    try:
        while not isinstance(event := oracle.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                received += bytes(event.data)
    except h11.RemoteProtocolError:
        # h11 takes no blank around the semicolon and no empty extension; those are checked against the payload alone.
        received = payload
    sink = []
    ChunkedBody(sink).feed(framed)
    assert b"".join(sink) == received == payload


@given(
    st.lists(
        st.sampled_from([b"0", b"1", b"a", b"\r\n", b"\r", b"\n", b";", b" ", b":", b"A: b", b"\x00"]), max_size=16
    ).map(b"".join),
    st.data(),
)
def test_any_bytes_give_the_same_outcome_in_any_pieces(junk, data):
    def outcome(cuts):
        sink = []
        try:
            return (*_feed(junk, cuts, sink), b"".join(sink))
        except BadBodyError:
            return "bad"

    assert outcome(data.draw(st.lists(st.integers(0, len(junk)), max_size=8))) == outcome([])


@pytest.mark.parametrize(
    "framed",
    [
        b"\r\n", b"x\r\n", b"-1\r\na\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"1_0\r\n", b"1 1\r\n", b"1\na\r\n", b"1\r",
        b"1\r\r\n", b"1;\x00\r\n", b"1;a\rb\r\n", b"\xb2\r\n", b"1\r\nab", b"1\r\na\n", b"1\r\na\r\r", b"1\r\na0\r\n",
        b"0\r\nno colon\r\n", b"0\r\n folded\r\n", b"0\r\nA : b\r\n", b"0\r\nA: b\n", b"0\r\nA: \x00\r\n", b"0\r\n: a\r\n",
        b"0\r\n\n", b"1" * 16 + b"\r\n", b"ffffffffffffffff\r\n", b"0" * 16 + b"\r\n", b";a\r\n",
        b"0\r\nContent-Length: 1\r\n", b"0\r\ntransfer-encoding: chunked\r\n", b"0\r\nHost: x\r\n",
        b"0\r\nAuthorization: x\r\n", b"0\r\nX-Forwarded-For: x\r\n", b"0\r\nSet-Cookie: x\r\n",
    ],
    ids=repr,
)  # fmt: skip
def test_broken_framing(framed):
    body = ChunkedBody()
    with pytest.raises(BadBodyError):
        body.feed(framed + b"\n" * (framed == b"1\r") + b"x" * (MAX_TRAILER_BYTES + 9))
    assert not body.complete


@pytest.mark.parametrize(
    ("framed", "is_good"),
    [
        (b"1;" + b"x" * (MAX_CHUNK_LINE_BYTES - 4) + b"\r\n", True),
        (b"1;" + b"x" * (MAX_CHUNK_LINE_BYTES - 3) + b"\r\n", False),
        (b"1;" + b"x" * MAX_CHUNK_LINE_BYTES, False),
        (b"0\r\n" + b"A: bc\r\n" * (MAX_TRAILER_BYTES // 7) + b"\r\n", True),
        (b"0\r\n" + b"A: bc\r\n" * (MAX_TRAILER_BYTES // 7 + 1), False),
        (b"0\r\nA: " + b"x" * MAX_TRAILER_BYTES, False),
    ],
    ids=[
        "line at the limit",
        "line over it",
        "line without end",
        "trailers at the limit",
        "trailers over it",
        "trailer without end",
    ],
)
@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
def test_lines_and_trailers_are_bounded(framed, is_good, piece):
    body = ChunkedBody()
    pieces = [framed[start : start + piece] for start in range(0, len(framed), piece)]
    if is_good:
        assert sum(body.feed(one) for one in pieces) == len(framed)
    else:
        with pytest.raises(BadBodyError):
            sum(map(body.feed, pieces))
        assert len(body._line) < 2 * MAX_TRAILER_BYTES


def test_many_tiny_chunks_cost_linear_time():
    """Counted in calls, not in seconds."""

    def calls(count):
        seen = 0

        def count_call(*_):
            nonlocal seen
            seen += 1

        body = ChunkedBody()
        sys.setprofile(count_call)
        try:
            body.feed(b"1\r\na\r\n" * count)
        finally:
            sys.setprofile(None)
        return seen

    assert calls(4000) <= 4.1 * calls(1000)


@given(st.integers(0, 100), st.lists(st.binary(max_size=30), max_size=10))
def test_a_sized_body_takes_its_size_and_no_more(size, pieces):
    body = SizedBody(size)
    taken = 0
    for piece in pieces:
        taken += body.feed(piece)
    total = sum(map(len, pieces))
    assert taken == min(size, total)
    assert body.complete is (total >= size and (size == 0 or bool(pieces)))


def test_a_body_until_close_takes_everything_and_never_ends():
    body = BodyUntilClose()
    assert body.feed(b"abc") == 3
    assert body.complete is False


def test_the_tracker_of_a_length():
    assert isinstance(body_of(CHUNKED), ChunkedBody)
    assert isinstance(body_of(UNTIL_CLOSE), BodyUntilClose)
    assert isinstance(body_of(0), SizedBody)
    assert body_of(0).complete


@given(chunked(), st.integers(1, 9))
def test_decoding_gives_the_payload_and_nothing_twice(message, step):
    payload, framed = message
    sink = []
    decoder = ChunkedBody(sink)
    pieces = [framed[start : start + step] for start in range(0, len(framed), step)]
    assert b"".join(decode_chunked(decoder, sink, piece) for piece in pieces) == payload
