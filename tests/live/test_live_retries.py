"""A request is sent a second time only where that cannot do it twice."""

import contextlib

import pytest
from live_gateway import wait_until
from scripted_target import OK, refused_port
from wire import Closed, connect

DOORS = pytest.mark.parametrize("door", ["listener", "asgi"])


def _request(method, body=b""):
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return b"%s /x HTTP/1.1\r\nHost: x\r\n%s\r\n%s" % (method.encode(), length, body)


def _answers_once_then(one, second):
    """On the first connection: answer one request, take a second one and do `second`. Others answer everything."""

    def script(wire):
        is_first = one.accepted == 1
        one.take(wire)
        wire.send(OK)
        if is_first:
            one.take(wire)
            second(wire)
            return
        while True:
            one.take(wire)
            wire.send(OK)

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@DOORS
def test_an_idempotent_request_on_a_stale_connection_is_repeated_once(gateway, target, door, method):
    one = target()
    one.script = _answers_once_then(one, lambda wire: None)
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(_request("GET"))
        client.response()
        client.send(_request(method, b"body" if method == "PUT" else b""))
        assert client.response(to=method).status == 200
    live.record(2)
    assert [request.method.decode() for request in one.requests] == ["GET", method, method]
    assert one.requests[1].body == one.requests[2].body
    assert one.accepted == 2


@pytest.mark.parametrize("method", ["POST", "PATCH", "PURGE"])
@DOORS
def test_any_other_request_on_a_stale_connection_is_502_and_sent_once(gateway, target, door, method):
    one = target()
    one.script = _answers_once_then(one, lambda wire: None)
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(_request("GET"))
        client.response()
        client.send(_request(method, b"body"))
        assert client.response().status == 502
    assert live.record(2).reason == "Target.ConnectionClosed"
    assert [request.method.decode() for request in one.requests] == ["GET", method]


@pytest.mark.parametrize(
    "begun",
    [b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"],
)
def test_a_request_to_which_any_byte_came_back_is_not_repeated(gateway, target, begun):
    one = target()
    one.script = _answers_once_then(one, lambda wire: wire.send(begun))
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(_request("GET"))
        client.response()
        client.send(_request("GET"))
        response = client.response()
        assert (client.response() if response.status == 103 else response).status == 502
    live.record(2)
    assert len(one.requests) == 2


def test_a_connection_that_closed_while_idle_is_not_used(gateway, target):
    one = target()

    def script(wire):
        one.take(wire)
        wire.send(OK)

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        for _ in range(5):
            client.send(_request("POST", b"body"))
            assert client.response().status == 200
            wait_until(lambda: live.open_target_connections == 0, "the close is not noticed")
    live.record(5)
    assert len(one.requests) == 5


def test_a_big_put_on_a_stale_connection_is_not_kept_for_a_second_time(gateway, target):
    one = target()
    one.script = _answers_once_then(one, lambda wire: None)
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(_request("GET"))
        client.response()
        client.send(_request("PUT", b"x" * 200_000))
        assert client.response().status == 502
    live.record(2)


def test_a_stale_connection_and_a_target_that_is_down_end_in_502(gateway, target):
    one = target()
    one.script = _answers_once_then(one, lambda wire: one.stop_listening())
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(_request("GET"))
        client.response()
        client.send(_request("GET"))
        assert client.response().status == 502
    live.record(2)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@DOORS
def test_a_refused_connection_lets_another_target_take_the_request(gateway, target, door, method):
    one = target()
    live = gateway(refused_port(), one.port, door=door)
    with connect(live.port) as client:
        for _ in range(6):
            client.send(_request(method, b"body"))
            assert client.response().status == 200
    record = live.record(6)
    assert record.target_id == f"127.0.0.1:{one.port}"
    assert [request.body for request in one.requests] == [b"body"] * 6


def test_an_upload_still_under_way_is_sent_whole_to_the_other_target(gateway, target):
    one = target()
    live = gateway(refused_port(), one.port)
    body = b"0123456789" * 50_000
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
            client.send(body[:7])
            client.send(body[7:])
            assert client.response().status == 200
    live.record(2)
    assert [request.body for request in one.requests] == [body, body]


def test_at_most_three_targets_are_asked(gateway):
    live = gateway(*(refused_port() for _ in range(6)))
    with connect(live.port) as client:
        client.send(_request("GET"))
        assert client.response().status == 502
    live.record()
    assert sum(one.requests for one in live.targets) == 3


def test_a_post_is_never_sent_twice_however_its_target_fails(gateway, target):
    ends = [
        lambda wire: None,
        lambda wire: wire.reset(),
        lambda wire: wire.send(b"HTTP/1.1 2"),
        lambda wire: wire.send(b"garbage\r\n\r\n"),
        lambda wire: wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    ]
    seen = []

    def script(wire):
        while True:
            request = wire.request()
            seen.append(request.body)
            if len(seen) % 2:
                wire.send(OK)
            else:
                ends[(len(seen) // 2) % len(ends)](wire)
                return

    one, other = target(script), target(script)
    live = gateway(one.port, other.port)
    for number in range(40):
        with connect(live.port) as client:
            client.send(_request("POST", b"%02d" % number))
            with contextlib.suppress(Closed):
                client.response()
    live.record(40)
    assert sorted(seen) == [b"%02d" % number for number in range(40)]
