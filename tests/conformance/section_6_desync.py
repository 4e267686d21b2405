"""alb.md 6.8: desync mitigation."""

# ruff: noqa: E501 - one row a line

from tests.conformance.rows import RAW, Checked, Exchange, Row, get, logs

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
]  # fmt: skip
