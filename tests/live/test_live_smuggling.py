"""A target must never see a request that the client did not plainly send."""

# ruff: noqa: E501 - one case a line

import contextlib

import pytest
from live_gateway import wait_until
from wire import Closed, connect

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /plain HTTP/1.1\r\nHost: x\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)

ATTEMPTS = {
    # name: what the client sends, and whether the plain request may reach the target
    "length and chunked, hidden after the last chunk": (
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, True),
    "chunked and length, the length says the hidden one is body": (
        HEAD + b"Transfer-Encoding: chunked\r\n" + b"Content-Length: %d\r\n" % (len(HIDDEN) + 5) + b"\r\n0\r\n\r\n" + HIDDEN, True),
    "identity and length": (HEAD + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + HIDDEN, True),
    "identity alone": (HEAD + b"Transfer-Encoding: identity\r\n\r\n", True),
    "identity and length 0": (HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n", True),
    "the same length twice": (HEAD + LENGTH + LENGTH + b"\r\n" + HIDDEN, True),
    "length 0 twice": (HEAD + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", True),
    "two lengths": (HEAD + LENGTH + b"Content-Length: 0\r\n\r\n" + HIDDEN, False),
    "a list of lengths": (HEAD + b"Content-Length: 0, 0\r\n\r\n" + HIDDEN, False),
    "length with a sign": (HEAD + b"Content-Length: +0\r\n\r\n" + HIDDEN, False),
    "negative length": (HEAD + b"Content-Length: -1\r\n\r\n" + HIDDEN, False),
    "length in hex": (HEAD + b"Content-Length: 0x0\r\n\r\n" + HIDDEN, False),
    "empty length": (HEAD + b"Content-Length:\r\n\r\n" + HIDDEN, False),
    "length with an underscore": (HEAD + b"Content-Length: 1_0\r\n\r\n" + HIDDEN, False),
    "length in other digits": (HEAD + "Content-Length: \u0665\r\n\r\n".encode() + HIDDEN, False),
    "length over 64 bits": (HEAD + b"Content-Length: 18446744073709551616\r\n\r\n" + HIDDEN, False),
    "length over 63 bits": (HEAD + b"Content-Length: 9223372036854775808\r\n\r\n" + HIDDEN, False),
    "blank before the colon of length": (HEAD + b"Content-Length : 5\r\n\r\n" + HIDDEN, True),
    "blank before the colon of coding": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN, True),
    "vertical tab before chunked": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "form feed after chunked": (HEAD + b"Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "chunked in quotes": (HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN, False),
    "chunked twice in a line": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "chunked in two lines": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "chunked, then identity": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "identity, then chunked": (HEAD + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "unknown coding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "empty coding": (HEAD + b"Transfer-Encoding:\r\n\r\n" + HIDDEN, False),
    "folded coding": (HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "coding folded onto another header": (HEAD + b"A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, True),
    "coding behind a bare LF": (HEAD + b"A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "coding behind a bare CR": (HEAD + b"A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, False),
    "NUL in a header": (HEAD + b"A: \x00\r\n\r\n" + HIDDEN, False),
    "NUL in a name": (HEAD + b"Content-Length\x00: 5\r\n\r\n" + HIDDEN, False),
    "chunked in HTTP/1.0": (HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, True),
    "head that ends with LF LF": (HEAD.replace(b"\r\n", b"\n") + b"\n" + HIDDEN, True),
    "CR LF written into the target": (b"GET /a\r\nX: y HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN, False),
    "a target that is a path for the rules and another for the target": (
        b"GET x?http://x/hidden HTTP/1.1\r\nHost: x\r\n\r\n", False),
    "chunk with a bare LF": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk with a bare CR": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\ra\r\n0\r\n\r\n" + HIDDEN, False),
    "extension with a bare LF": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "extension with a bare CR": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk size with 0x": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk size with a sign": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk size with an underscore": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1_0\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk size over 64 bits": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk size over 63 bits": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "blank before the chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "empty chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk longer than its size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + HIDDEN, False),
    "chunk data ended by LF": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n" + HIDDEN, False),
    "trailer that frames": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n" + HIDDEN, False),
    "trailer ended by LF": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n" + HIDDEN, False),
    "trailer that is no header": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + HIDDEN, False),
}  # fmt: skip


@pytest.mark.parametrize("pieces", ["at once", "byte by byte"])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=list(ATTEMPTS))
def test_a_hidden_request_never_reaches_a_target(gateway, target, attempt, pieces):
    data, may_pass = ATTEMPTS[attempt]
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        try:
            if pieces == "at once":
                client.send(data)
            else:
                for byte in data:
                    client.send(bytes([byte]))
        except OSError:
            pass  # refused before all was sent
        if not may_pass:
            status = client.response().status
            assert status in (400, 501)
            assert client.is_at_end() or pieces == "byte by byte"
        else:
            assert client.response().status == 200
            wait_until(lambda: not live.in_flight, "in flight")
            try:
                client.response()  # the hidden one, were it taken for a request
            except (Closed, IndexError):
                pass
            else:
                raise AssertionError("the client connection goes on after an ambiguous request")
    live.record()
    assert [request.target for request in one.requests] == ([b"/plain"] if may_pass else [])
    for request in one.requests:
        framing = request.values("content-length") + request.values("transfer-encoding")
        assert len(framing) <= 1, "the target has a choice of how to read it"
        assert request.values("transfer-encoding") in ([], [b"chunked"])
        assert live.open_target_connections == 0, "another request may follow on this connection"


def test_a_body_that_looks_like_a_request_stays_a_body(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(HEAD + LENGTH + b"\r\n" + HIDDEN + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [client.response().status for _ in range(2)] == [200, 200]
    assert [(request.target, request.body) for request in one.requests] == [(b"/plain", HIDDEN), (b"/next", b"")]
    live.record(2)


@pytest.mark.parametrize("named", [b"Content-Length", b"Transfer-Encoding", b"Host", b"content-length, close"])
def test_a_connection_header_cannot_take_the_framing_away(gateway, target, named):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(HEAD + LENGTH + b"Connection: " + named + b"\r\n\r\n" + HIDDEN)
        assert client.response().status == 200
    assert one.requests[0].body == HIDDEN
    assert one.requests[0].values("host") == [b"x:%d" % live.port]


def test_an_upgrade_other_than_websocket_is_not_passed_on(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n"
        )
        assert client.response().status == 200
    request = one.requests[0]
    assert not request.values("upgrade")
    assert not request.values("connection")
    assert not request.values("http2-settings")


@pytest.mark.parametrize("door", ["asgi", "asgi-h11"])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=list(ATTEMPTS))
def test_by_the_asgi_door_what_its_server_lets_in_is_framed_plainly(gateway, target, attempt, door):
    data, _ = ATTEMPTS[attempt]
    one = target()
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(data)
        client.end_writing()
        with contextlib.suppress(Closed):
            client.rest()
    wait_until(lambda: not live.in_flight, "in flight")
    for request in one.requests:
        assert len(request.values("content-length") + request.values("transfer-encoding")) <= 1
    if attempt.startswith("a target that is"):
        assert one.requests == []
