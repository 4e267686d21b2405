"""alb.md 6.8: desync mitigation."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import HTTP2, RAW, Checked, Exchange, Row, get, has, logs

STRICT, MONITOR = (f"{{routing.http.desync_mitigation_mode: {mode}}}" for mode in ("strictest", "monitor"))
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


def _desync(id: str, send: bytes, defensive: tuple[int, bool], strictest: int = 400) -> list[Row]:
    """Status and closing in mode defensive, status in strictest; monitor passes what defensive passes, and goes on."""
    status, closes = defensive
    return [
        Exchange(f"{id}: defensive", "6.8", send, status, closes=closes, doors=RAW),
        Exchange(f"{id}: strictest", "6.8", send, strictest, STRICT, closes=True, doors=RAW),
        Exchange(f"{id}: monitor", "6.8", send, status, MONITOR, closes=status != 200, doors=RAW),
    ]


ROWS: list[Row] = [
    Exchange("Compliant passes in strictest", "6.8", attributes=STRICT),
    *_desync("NonCompliantHeader", get("/", "A: \x01"), (200, False)),
    *_desync("SpaceInUri", get("/a b"), (200, False)),
    *_desync("NonCompliantVersion", get(version="1.2"), (200, False)),
    *_desync("GetHeadZeroContentLength", get("/", "Content-Length: 0"), (200, False)),
    *_desync("EmptyHeader", get("/", ": a"), (200, True)),
    *_desync("AmbiguousUri", get("/\x01"), (200, True)),
    *_desync("UndefinedContentLengthSemantics", get("/", "Content-Length: 1") + b"a", (200, True)),
    *_desync("UndefinedTransferEncodingSemantics", get("/", "Transfer-Encoding: chunked") + b"0\r\n\r\n", (200, True)),
    *_desync("DuplicateContentLength", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", (200, True)),
    *_desync("BothTeClPresent", POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (200, True)),
    *_desync("SuspiciousHeader", get("/", "Transfer_Encoding: chunked"), (200, True)),
    *_desync("MultilineHeader", get("/", "A: b", " c"), (200, True)),
    *_desync("MissingHeaderColon", get("/", "A"), (200, True)),
    *_desync("BadHeader", get("/", "A: \x00"), (400, True)),
    *_desync("BadUri", get("/\x00"), (400, True)),
    *_desync("BadMethod", get(method="G(T"), (400, True)),
    *_desync("BadVersion", get(version="1.11"), (400, True)),
    *_desync("BadContentLength", POST + b"Content-Length: 1000,1000\r\n\r\n", (400, True)),
    *_desync("MultipleContentLength", POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", (400, True)),
    *_desync("BadTransferEncoding", POST + b"Transfer-Encoding: xchunked\r\n\r\n", (501, True), 501),
    *_desync("MultipleTransferEncodingChunked", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", (400, True)),
    Checked("another mode", "6.8", attributes="{routing.http.desync_mitigation_mode: none}", code="unknown-value"),
    *_desync("SuspiciousHeader with a blank", POST + b"Content-Length : 1\r\n\r\na", (200, True)),
    *_desync("MultipleContentLength with a blank", POST + b"Content-Length: 1\r\nContent-Length : 2\r\n\r\n", (400, True)),
    *_desync("BadContentLength, no number", POST + b"Content-Length: a\r\n\r\n", (400, True)),
    *_desync("BadContentLength, over 64 bits", POST + b"Content-Length: 99999999999999999999\r\n\r\n", (400, True)),
    *_desync("MultipleTransferEncodingChunked, in two lines", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", (400, True)),
    Exchange("UndefinedTransferEncodingSemantics, HTTP/1.0", "6.8", b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", log=logs(classification="Ambiguous", classification_reason="UndefinedTransferEncodingSemantics"), doors=RAW),
    *_desync("MissingUri", b"GET HTTP/1.1\r\nHost: x\r\n\r\n", (400, True)),
    Exchange("the worst class wins", "6.8", POST + b"A: \x01\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, closes=True, log=logs(classification="Severe", classification_reason="MultipleContentLength"), doors=RAW),
    Exchange("with both, Content-Length is disregarded", "6.8", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", gets=has(content_length=None, transfer_encoding=b"chunked"), closes=True, doors=RAW),
    Exchange("what is not Compliant is counted", "6.8", get("/", "Content-Length: 0"), counts=("strangler_desync_noncompliant_requests_total",), log=logs(classification="Acceptable", classification_reason="GetHeadZeroContentLength"), doors=RAW),
    Exchange("an Ambiguous request closes the target's connection too", "6.8", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", closes=True, log=logs(classification="Ambiguous", classification_reason="DuplicateContentLength"), doors=RAW),
    Exchange("a Compliant request has no class", "6.8", log=logs(classification="-", classification_reason="-")),
    Exchange("NonCrLfLineTermination: defensive", "6.8", b"GET / HTTP/1.1\nHost: x\n\n", 200, log=logs(classification="Acceptable", classification_reason="NonCrLfLineTermination"), doors=RAW),
    Exchange("NonCrLfLineTermination: strictest", "6.8", b"GET / HTTP/1.1\nHost: x\n\n", 400, STRICT, closes=True, doors=RAW),
    Exchange("HTTP/2 is out of its scope", "6.8", get("/", "Content-Length: 0"), attributes=STRICT, log=logs(classification="-"), doors=HTTP2),
]  # fmt: skip
