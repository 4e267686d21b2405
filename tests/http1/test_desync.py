"""Desync classification, reason by reason (alb.md 6.8), and what is passed on."""

# ruff: noqa: E501 - one case a line

import contextlib
import time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import LoadBalancerAttributes
from proxy.errors import BadRequestError, ClientError
from proxy.http1.desync import REASONS, Severity, classify, lf_head_end
from proxy.http1.head import is_plainly_framed, parse_request_head, request_body_length
from proxy.http1.mitigation import mitigate

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
END = b"\r\n"

CASES = {
    # reason: heads
    "": [
        GET + END,
        POST + b"Content-Length: 5\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        POST + b"Transfer-Encoding: identity\r\n\r\n",
        GET + b"X_under.score: 1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"Accept-Encoding: gzip\r\nContent-Type: a/b\r\nTE: trailers\r\n\r\n",
    ],
    "NonCompliantHeader": [
        GET + b"A: \x01\r\n\r\n",
        GET + b"A: \xff\r\n\r\n",
        GET + b"A : b\r\n\r\n",
        GET + b"A b: c\r\n\r\n",
        GET + b"A\xff: c\r\n\r\n",
        GET + b"A(: c\r\n\r\n",
    ],
    "SpaceInUri": [b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"],
    "NonCompliantVersion": [
        b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    "NonCrLfLineTermination": [b"GET / HTTP/1.1\nHost: x\n\n"],
    "GetHeadZeroContentLength": [GET + b"Content-Length: 0\r\n\r\n", b"HEAD" + GET[3:] + b"Content-Length: 00\r\n\r\n"],
    "EmptyHeader": [GET + b": b\r\n\r\n", GET + b":a: b\r\n\r\n"],
    "AmbiguousUri": [b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a\tb HTTP/1.1\r\n\r\n", b"GET /\x7f HTTP/1.1\r\n\r\n"],
    "UndefinedContentLengthSemantics": [
        GET + b"Content-Length: 1\r\n\r\n",
        b"HEAD" + GET[3:] + b"Content-Length: 1\r\n\r\n",
        b"POST / HTTP/0.9\r\nContent-Length: 0\r\n\r\n",
    ],
    "UndefinedTransferEncodingSemantics": [
        GET + b"Transfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    "DuplicateContentLength": [POST + b"Content-Length: 5\r\ncontent-length: 5\r\n\r\n"],
    "BothTeClPresent": [POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"],
    "SuspiciousHeader": [
        POST + b"Transfer_Encoding: chunked\r\n\r\n",
        POST + b"TransferEncoding: chunked\r\n\r\n",
        POST + b"Content-Length1: 5\r\n\r\n",
        POST + b"Content--Length: 5\r\n\r\n",
        POST + b"-Content-Length: 5\r\n\r\n",
        POST + b"Content-Length : 5\r\n\r\n",
        POST + "Tranſfer-Encoding: chunked\r\n\r\n".encode(),
        POST + b"Content\x01Length: 5\r\n\r\n",
    ],
    "MultilineHeader": [GET + b"A: b\r\n c\r\n\r\n", GET + b"A: b\r\n\tc: d\r\n\r\n"],
    "MissingHeaderColon": [GET + b"A\r\n\r\n"],
    "PartialHeaderLine": [GET + b"A: b"],
    "MissingLastEmptyLine": [GET],
    "BadHeader": [GET + b"A: \x00\r\n\r\n", GET + b"A: b\rc\r\n\r\n", GET + b"A: b\nc: d\r\n\r\n", b"GET / HTTP/1.1\nA: b\r\n\n"],
    "BadUri": [b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET /\r HTTP/1.1\r\n\r\n"],
    "BadMethod": [b"G(T / HTTP/1.1\r\n\r\n", b" / HTTP/1.1\r\n\r\n", b"\xff / HTTP/1.1\r\n\r\n"],
    "BadVersion": [b"GET / HTTP/2.0\r\n\r\n", b"GET / XTTP/1.1\r\n\r\n", b"GET / HTTP/1.11\r\n\r\n", b"GET / http/1.1\r\n\r\n"],
    "BadContentLength": [
        POST + b"Content-Length: x\r\n\r\n",
        POST + b"Content-Length: 1000,1000\r\n\r\n",
        POST + b"Content-Length: 18446744073709551616\r\n\r\n",
        POST + b"Content-Length: +1\r\n\r\n",
        POST + b"Content-Length:\r\n\r\n",
    ],
    "MultipleContentLength": [
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length : 6\r\n\r\n",
    ],
    "BadTransferEncoding": [POST + b"Transfer-Encoding: xchunked\r\n\r\n", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n"],
    "MultipleTransferEncodingChunked": [
        POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "head"), [(reason, head) for reason, heads in CASES.items() for head in heads], ids=repr
)
def test_a_reason_and_its_class(reason, head):
    found = classify(head)
    assert (found.reason, found.severity) == (reason, REASONS.get(reason, Severity.COMPLIANT))


def test_no_reason_is_without_a_case():
    # Without a target there is no version either, so the worse reason is seen.
    assert REASONS.keys() - CASES.keys() == {"MissingUri"}
    assert classify(b"GET  HTTP/1.1\r\n\r\n").reason == "MissingUri"


@pytest.mark.parametrize(
    ("head", "target", "headers"),
    [
        (b"GET /a b\tc\x01 HTTP/1.1\r\nHost: x\r\n\r\n", b"/a%20b%09c%01", [(b"Host", b"x")]),
        (GET + b"A: \x01b\x0bc\xc3\xa9\r\n\r\n", b"/", [(b"Host", b"x"), (b"A", b"b c\xc3\xa9")]),
        (GET + b"A : b\r\nC d: e\r\n: f\r\ng\r\n\r\n", b"/", [(b"Host", b"x")]),
        (GET + b"A: b\r\n c\r\n d e\r\n f: g\r\n\r\n", b"/", [(b"Host", b"x"), (b"A", b"b"), (b"c", b"")]),
        (GET + b"A: b\r\n Content-Length\r\n Host\r\n\r\n", b"/", [(b"Host", b"x"), (b"A", b"b")]),
        (GET + b"Transfer_Encoding: chunked\r\n\r\n", b"/", [(b"Host", b"x"), (b"Transfer_Encoding", b"chunked")]),
        (b"GET / HTTP/1.1\nHost: x\nA: b\n\n", b"/", [(b"Host", b"x"), (b"A", b"b")]),
    ],
    ids=["target", "bytes of a value", "names that are none", "folded lines", "folded lines that would mean something",
         "a lookalike", "LF alone"],
)  # fmt: skip
def test_what_is_passed_on(head, target, headers):
    request = classify(head).request
    assert (request.target, request.headers) == (target, headers)
    again = classify(b"GET %s HTTP/1.1\r\n%s\r\n" % (request.target, request.block))
    assert again.reason in ("", "NonCompliantHeader", "SuspiciousHeader"), "it is plain to the next server"


@pytest.mark.parametrize("mode", ["monitor", "defensive", "strictest"])
@pytest.mark.parametrize("severity", Severity)
def test_the_table_of_modes(mode, severity):
    head = {
        Severity.COMPLIANT: GET + END,
        Severity.ACCEPTABLE: GET + b"Content-Length: 0\r\n\r\n",
        Severity.AMBIGUOUS: POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        Severity.SEVERE: GET + b"A: \x00\r\n\r\n",
    }[severity]
    attributes = LoadBalancerAttributes(desync_mitigation_mode=mode)
    blocked = severity is Severity.SEVERE or (mode == "strictest" and severity > Severity.COMPLIANT)
    if blocked:
        with pytest.raises(BadRequestError) as raised:
            mitigate(head, attributes)
        assert raised.value.classification == severity.label
        return
    passed = mitigate(head, attributes)
    assert passed.severity is severity
    assert passed.closes is (mode == "defensive" and severity is Severity.AMBIGUOUS)
    assert passed.plain_framing is (severity is Severity.AMBIGUOUS)


@pytest.mark.parametrize("drops", [False, True])
def test_names_outside_letters_digits_and_hyphens(drops):
    head = GET + b"X_y: 1\r\nX-y: 2\r\nx.z: 3\r\n\r\n"
    passed = mitigate(head, LoadBalancerAttributes(drop_invalid_header_fields=drops))
    assert passed.severity is Severity.COMPLIANT
    assert (passed.forwarded_names, passed.dropped_names) == (not drops, drops)
    assert [name for name, _ in passed.head.headers] == (
        [b"Host", b"X-y"] if drops else [b"Host", b"X_y", b"X-y", b"x.z"]
    )


@pytest.mark.parametrize(
    "host", [b"a\x01b", b"a\xffb", b"a b", b"a\tb"], ids=["control byte", "high byte", "blank", "tab"]
)
def test_a_host_with_such_a_byte_is_refused(host):
    head = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    with pytest.raises(ClientError):
        parse_request_head(head)
    with pytest.raises(BadRequestError):
        mitigate(head, LoadBalancerAttributes())


def test_where_a_head_with_lf_alone_ends():
    assert lf_head_end(b"GET / HTTP/1.1\nHost: x\n\nrest") == 24
    assert lf_head_end(b"GET / HTTP/1.1\nHost: x\n") == 0
    assert lf_head_end(b"GET / HTTP/1.1\r\nA: b\n\n") == 0
    assert lf_head_end(b"\n\n") == 0


# Properties

PIECES = st.lists(
    st.sampled_from(
        [b"GET", b"POST", b" ", b"/", b"HTTP/1.1", b"HTTP/0.9", b"\r\n", b"\n", b"\r", b"Host: x", b":", b"\x00", b"A: b",
         b"Content-Length: 1", b"Content-Length", b"Transfer-Encoding: chunked", b"\t", b"\xff", b"\x01", b"_", b"identity"]
    ),
    max_size=20,
).map(b"".join)  # fmt: skip
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"A: b", b"Content-Length: 1", b"Content-Length: 0", b"Content-Length : 1", b"Transfer-Encoding: chunked",
             b"X_y: z", b"TransferEncoding: x", b"Content-Type: c", b"Cookie: d", b"A : b", b": b", b" c", b"c", b"T: \x01"]
        ),
        st.binary(min_size=1, max_size=8).filter(lambda line: b"\r\n" not in line),
    ),
    max_size=5,
)  # fmt: skip
START = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"POST / HTTP/1.0", b"GET /a b HTTP/1.1", b"HEAD /\x01 HTTP/1.2"]
)


def _head(start, lines):
    return b"".join(line + b"\r\n" for line in (start, b"Host: x", *lines)) + b"\r\n"


@given(st.one_of(PIECES, st.binary(max_size=60)))
def test_any_bytes_are_classified(data):
    for head in (data, data + b"\r\n\r\n", data + b"\n\n"):
        found = classify(head)
        assert found.severity is REASONS.get(found.reason, Severity.COMPLIANT)
        with contextlib.suppress(ClientError):
            mitigate(head, LoadBalancerAttributes())


@given(START, LINES, LINES)
def test_more_lines_make_no_request_better(start, lines, more):
    assert classify(_head(start, [*lines, *more])).severity >= classify(_head(start, lines)).severity


@given(START, LINES)
def test_what_the_strict_expression_lets_in_is_compliant(start, lines):
    head = _head(start, lines)
    try:
        request = parse_request_head(head)
        request_body_length(request)
    except ClientError:
        return
    if {b"content-length", b"transfer-encoding"}.isdisjoint(request.fields) or is_plainly_framed(request):
        assert classify(head).severity is Severity.COMPLIANT


@given(START, LINES)
def test_a_compliant_head_is_one_to_h11_and_reads_alike(start, lines):
    head = _head(start, lines)
    found = classify(head)
    if found.severity is not Severity.COMPLIANT:
        return
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(head)
    try:
        event = oracle.next_event()
    except h11.RemoteProtocolError as error:
        # Of HTTP, not of bytes: several Host headers, codings other than chunked.
        assert error.error_status_hint == 501 or sum(line.lower().startswith(b"host:") for line in lines)  # noqa: PT017
        return
    assert (found.request.method, found.request.target) == (event.method, event.target)
    assert [(name.lower(), value) for name, value in found.request.headers] == list(event.headers)


@given(START, LINES)
def test_what_passes_is_read_alike_by_h11(start, lines):
    """The whole point: no byte that passes gives another server a choice."""
    try:
        passed = mitigate(_head(start, lines), LoadBalancerAttributes())
    except ClientError:
        return
    head = passed.head
    framing = (b"content-length", b"transfer-encoding", b"expect", b"host")
    kept = [b"%s: %s\r\n" % field for field in head.headers if field[0].lower() not in framing]
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(b"%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (head.method, head.target, b"".join(kept)))
    event = oracle.next_event()
    assert (event.method, event.target) == (head.method, head.target)
    assert len(event.headers) == 1 + len(kept)


@pytest.mark.parametrize(
    ("unit", "suffix"),
    [
        (b" ", b" HTTP/1.1\r\n\r\n"),
        (b"A: b\r\n", b"\r\n"),
        (b" x\r\n", b"\r\n"),
        (b"\n", b"\n"),
        (b"\r", b"\r\n\r\n"),
        (b"Content-Length: 1\r\n", b"\r\n"),
        (b"c-", b": x\r\n\r\n"),
        (b"Transfer-Encoding: chunked,chunked\r\n", b"\r\n"),
    ],
    ids=repr,
)
def test_a_head_costs_linear_time(unit, suffix):
    def seconds(size):
        head = GET + unit * (size // len(unit)) + suffix
        best = 9.0
        for _ in range(3):
            began = time.thread_time()
            classify(head)
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(1 << 19) < 16 * max(seconds(1 << 17), 0.002)
