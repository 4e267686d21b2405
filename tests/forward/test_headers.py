"""What targets and clients get of each other's headers, row by row of alb.md 6.1 to 6.4 and RFC 9110 7.6."""

# ruff: noqa: E501 - one case a line

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import LoadBalancerAttributes
from proxy.errors import TooManyForwardedError
from proxy.forward.headers import (
    ForwardedLines,
    forwarded_for,
    request_head_to_target,
    response_block_to_client,
    target_in_origin_form,
    trace_id_to_target,
)
from proxy.http1.head import RequestHead, parse_request_head, parse_response_head
from proxy.rules.request import RequestView

DEFAULT = LoadBalancerAttributes()
PRESERVE_HOST = LoadBalancerAttributes(preserve_host_header=True)
ROOT = re.compile(rb"1-[0-9a-f]{8}-[0-9a-f]{24}")


def to_target(head, *, port=80, attributes=DEFAULT, peer="127.0.0.1", client_port=5000, scheme="http", **options):
    """The head that a target gets for the head that a client sent, taken apart again."""
    request = parse_request_head(head)
    view = RequestView(request.method, request.target, request.headers, request.fields, peer, scheme, port)
    forwarded = ForwardedLines(peer, client_port, scheme, port, attributes)
    sent, trace_id = request_head_to_target(view, request.block, forwarded, **options)
    received = parse_request_head(sent)
    assert received.fields[b"x-amzn-trace-id"] == trace_id
    return received


def values(head, name):
    return [value for key, value in head.headers if key.lower() == name.encode()]


# 6.1 X-Forwarded-For


@pytest.mark.parametrize(
    ("sent", "mode", "expected"),
    [
        ([], "append", b"127.0.0.1"),
        ([], "preserve", None),
        ([], "remove", None),
        ([b"127.0.0.4"], "append", b"127.0.0.4, 127.0.0.1"),
        ([b"127.0.0.4"], "preserve", b"127.0.0.4"),
        ([b"127.0.0.4"], "remove", None),
        ([b"127.0.0.4, 127.0.0.8"], "append", b"127.0.0.4, 127.0.0.8, 127.0.0.1"),
        ([b"127.0.0.4, 127.0.0.8"], "preserve", b"127.0.0.4, 127.0.0.8"),
        ([b"127.0.0.4, 127.0.0.8"], "remove", None),
        ([b"a", b"b"], "append", b"a, b, 127.0.0.1"),
        ([b"a", b"b"], "preserve", b"a, b"),
        ([b""], "append", b"127.0.0.1"),
        ([b"not an address"], "append", b"not an address, 127.0.0.1"),
    ],
)
def test_x_forwarded_for(sent, mode, expected):
    attributes = LoadBalancerAttributes(xff_header_processing_mode=mode)
    lines = b"".join(b"x-Forwarded-FOR: %s\r\n" % value for value in sent)
    received = to_target(b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n", attributes=attributes)
    assert values(received, "x-forwarded-for") == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("peer", "with_port", "sent", "expected"),
    [
        ("10.0.0.1", True, [], b"10.0.0.1:5000"),
        ("10.0.0.1", True, [b"a"], b"a, 10.0.0.1:5000"),
        ("2001:db8::1", False, [], b"2001:db8::1"),
        ("2001:db8::1", False, [b"a"], b"a, [2001:db8::1]"),
        ("2001:db8::1", True, [], b"[2001:db8::1]:5000"),
        ("2001:db8::1", True, [b"a"], b"a, [2001:db8::1]:5000"),
    ],
)
def test_client_port_and_ipv6(peer, with_port, sent, expected):
    attributes = LoadBalancerAttributes(xff_client_port=with_port)
    assert forwarded_for(sent, peer, 5000, attributes) == expected


@pytest.mark.parametrize("mode", ["preserve", "remove"])
def test_the_client_port_is_for_append_alone(mode):
    attributes = LoadBalancerAttributes(xff_client_port=True, xff_header_processing_mode=mode)
    assert forwarded_for([b"a"], "10.0.0.1", 5000, attributes) == (b"a" if mode == "preserve" else None)


def test_thirty_addresses_pass_and_one_more_is_463():
    assert forwarded_for([b", ".join([b"a"] * 30)], "p", 1, DEFAULT) == b", ".join([b"a"] * 30 + [b"p"])
    for lines in ([b",".join([b"a"] * 31)], [b",".join([b"a"] * 15)] * 2 + [b"a"]):
        with pytest.raises(TooManyForwardedError):
            forwarded_for(lines, "p", 1, DEFAULT)


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443), ("http", 8080)])
def test_proto_and_port_are_the_listeners_whatever_the_client_says(scheme, port):
    received = to_target(
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: gopher\r\nx-forwarded-port: 1\r\nX-Forwarded-Proto: ftp\r\n\r\n",
        scheme=scheme,
        port=port,
    )
    assert values(received, "x-forwarded-proto") == [scheme.encode()]
    assert values(received, "x-forwarded-port") == [b"%d" % port]


# 6.2 X-Amzn-Trace-Id


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (None, rb"Root=%R"),
        (b"", rb"Root=%R"),
        (b"Root=1-a-b", rb"Self=%R;Root=1-a-b"),
        (b"Root=1-a-b;CalledFrom=app", rb"Self=%R;Root=1-a-b;CalledFrom=app"),
        (b"Self=1-c-d;Root=1-a-b", rb"Self=%R;Root=1-a-b"),
        (b"Root=1-a-b; Self=1-c-d ;X=y;", rb"Self=%R;Root=1-a-b;X=y"),
        (b"CalledFrom=app", rb"Root=%R;CalledFrom=app"),
    ],
)
def test_trace_id(received, expected):
    assert re.fullmatch(expected.replace(b"%R", ROOT.pattern), trace_id_to_target(received, 100))


def test_trace_id_is_made_anew_for_headers_over_7_k():
    assert trace_id_to_target(b"Root=1-a-b", 7168).startswith(b"Self=")
    assert re.fullmatch(b"Root=" + ROOT.pattern, trace_id_to_target(b"Root=1-a-b", 7169))


def test_two_requests_have_two_trace_ids():
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert values(to_target(head), "x-amzn-trace-id") != values(to_target(head), "x-amzn-trace-id")


# 6.3 Host


@pytest.mark.parametrize(
    ("port", "line", "hosts", "plain", "preserved"),
    [
        (80, b"/", [b"example.com"], b"example.com", [b"example.com"]),
        (443, b"/", [b"example.com"], b"example.com", [b"example.com"]),
        (80, b"/", [b"example.com:80"], b"example.com", [b"example.com:80"]),
        (80, b"/", [b"example.com:8080"], b"example.com", [b"example.com:8080"]),
        (443, b"/", [b"Example.COM:443"], b"example.com", [b"Example.COM:443"]),
        (80, b"https://dns_name/index.html", [b"example.com"], b"dns_name", [b"example.com"]),
        (8080, b"http://DNS_name/index.html", [b"example.com"], b"dns_name:8080", [b"example.com"]),
        (80, b"http://dns_name:81?q", [b"example.com"], b"dns_name", [b"example.com"]),
        (80, b"http://dns_name#/f", [b"example.com"], b"dns_name", [b"example.com"]),
        (8080, b"http://user:word@dns_name/", [b"example.com"], b"dns_name:8080", [b"example.com"]),
        (8080, b"http://a@b@dns_name:81/", [b"example.com"], b"dns_name:81", [b"example.com"]),
        (8080, b"/", [b"example.com"], b"example.com:8080", [b"example.com"]),
        (8080, b"/", [b"example.com:8080"], b"example.com:8080", [b"example.com:8080"]),
        (8080, b"/", [b"example.com:9"], b"example.com:9", [b"example.com:9"]),
        (8080, b"/", [b"example.com:"], b"example.com:8080", [b"example.com:"]),
        (80, b"/", [b"[::1]"], b"[::1]", [b"[::1]"]),
        (80, b"/", [b"[::1]:80"], b"[::1]", [b"[::1]:80"]),
        (8080, b"/", [b"[::1]"], b"[::1]:8080", [b"[::1]"]),
        (80, b"/", [b"a", b"b"], b"a", [b"a", b"b"]),
        (80, b"/", [b"a", b"a"], b"a", [b"a", b"a"]),
        (80, b"/", [b"a", b"b", b"a"], b"a", [b"a", b"b", b"a"]),
    ],
)
def test_host(port, line, hosts, plain, preserved):
    lines = b"".join(b"Host: %s\r\n" % host for host in hosts)
    head = b"GET %s HTTP/1.1\r\n%s\r\n" % (line, lines)
    assert values(to_target(head, port=port), "host") == [plain]
    assert values(to_target(head, port=port, attributes=PRESERVE_HOST), "host") == preserved


@pytest.mark.parametrize("attributes", [DEFAULT, PRESERVE_HOST], ids=["plain", "preserved"])
def test_http_1_0_without_host_gets_the_gateways(attributes):
    head = b"GET / HTTP/1.0\r\nA: b\r\n\r\n"
    assert values(to_target(head, attributes=attributes, fallback_host=b"10.0.0.9"), "host") == [b"10.0.0.9"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a//b%2F?c#d", b"/a//b%2F?c#d"),
        (b"*", b"*"),
        (b"http://h", b"/"),
        (b"http://h/", b"/"),
        (b"http://h:1/a?b", b"/a?b"),
        (b"http://h?b=/c", b"/?b=/c"),
        (b"http://h#/c", b"/#/c"),
        (b"a+b.c-1://h/a://b", b"/a://b"),
        (b"http:///a", b"/a"),
    ],
)
def test_request_targets(target, expected):
    assert target_in_origin_form(target) == expected
    assert to_target(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target).target == expected


@given(st.text("/?#:@ab.%", max_size=12).map(str.encode))
def test_the_path_that_the_rules_see_is_the_one_that_a_target_gets(rest):
    """Else a request could pass a rule by one path and reach another."""
    view = RequestView.of("GET", "http://" + rest.decode(), [("Host", "x")])
    sent = RequestView.of("GET", target_in_origin_form(view.target).decode(), [("Host", "x")])
    assert (view.path, view.query) == (sent.path, sent.query)


# 6.4 and RFC 9110 7.6: what belongs to one connection


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive", b"Connection: close", b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive",
        b"TE: trailers", b"Upgrade: h2c", b"Expect: 100-continue", b"CONNECTION: x",
    ],
    ids=repr,
)  # fmt: skip
def test_fields_of_the_clients_connection_end_here(line):
    received = to_target(b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n" + line + b"\r\nC: d\r\n\r\n")
    assert [name for name, _ in received.headers] == [
        b"Host", b"A", b"C", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Port", b"X-Amzn-Trace-Id",
    ]  # fmt: skip


def test_fields_that_connection_names_end_here_but_not_those_that_make_the_message():
    received = to_target(
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: X-Mine, Host, content-length\r\nConnection: x-FORWARDED-for , Y\r\n"
        b"x-mine: 1\r\nY: 2\r\nZ: 3\r\nContent-Length: 5\r\nX-Forwarded-For: a\r\n\r\n"
    )
    assert not values(received, "x-mine")
    assert not values(received, "y")
    assert values(received, "z") == [b"3"]
    assert values(received, "content-length") == [b"5"]
    assert values(received, "host") == [b"x"]
    assert values(received, "x-forwarded-for") == [b"a, 127.0.0.1"]


def test_a_websocket_handshake_keeps_its_upgrade():
    received = to_target(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade, X\r\nX: y\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
        upgrade=True,
    )
    assert values(received, "connection") == [b"Upgrade"]
    assert values(received, "upgrade") == [b"websocket"]
    assert values(received, "sec-websocket-key") == [b"k"]
    assert not values(received, "x")


def test_everything_else_is_passed_on_as_it_came():
    block = (
        b"hOST: x\r\nA:  b \r\nX_y.z:\r\na: \xff\x01\r\nCookie: a; b\r\nCookie: c\r\nTrailer: Q\r\nAuthorization: q\r\n"
    )
    request = RequestHead.of(b"GET", b"/", 1, block)
    view = RequestView(request.method, request.target, request.headers, request.fields)
    sent, _ = request_head_to_target(view, block, ForwardedLines("p", 1, "http", 80, DEFAULT))
    assert sent.startswith(b"GET / HTTP/1.1\r\n" + block + b"X-Forwarded-For: p\r\n")


@pytest.mark.parametrize(
    ("lines", "chunked", "expected"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", True, ([], [b"chunked"])),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", False, ([b"5"], [])),
        (b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", False, ([b"5"], [])),
        (b"Transfer-Encoding: identity\r\n", False, ([], [])),
    ],
)
def test_ambiguous_framing_is_made_plain(lines, chunked, expected):
    received = to_target(b"POST / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n", ambiguous=True, chunked=chunked)
    assert (values(received, "content-length"), values(received, "transfer-encoding")) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"A",
                    b"Connection",
                    b"Host",
                    b"X-Forwarded-For",
                    b"TE",
                    b"Upgrade",
                    b"Expect",
                    b"Cookie",
                    b"X-Amzn-Trace-Id",
                ]
            ),
            st.sampled_from([b"", b"a", b"close, A", b"Root=1-a-b", b"x.y:80", b"host"]),
        ).filter(lambda header: header not in ((b"Host", b""), (b"Host", b"close, A"))),
        max_size=8,
    ),
    st.sampled_from([DEFAULT, PRESERVE_HOST]),
)
def test_whatever_comes_one_plain_head_goes_out(headers, attributes):
    head = b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % b"".join(b"%s: %s\r\n" % header for header in headers)
    received = to_target(head, attributes=attributes)
    for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"):
        assert len(values(received, name)) == 1
    for name in ("connection", "te", "upgrade", "expect"):
        assert not values(received, name)
    assert values(received, "host")[0] == b"x"
    named = {item.strip().lower() for name, value in headers if name == b"Connection" for item in value.split(b",")}
    assert values(received, "a") == ([] if b"a" in named else [value for name, value in headers if name == b"A"])


# Back to the client


def _response(lines):
    return parse_response_head(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")


def test_a_response_block_without_hop_by_hop_fields_is_the_same_bytes():
    head = _response(b"sERVER:  q \r\nSet-Cookie: a\r\nSet-Cookie: b\r\nTransfer-Encoding: chunked\r\n")
    assert response_block_to_client(head) is head.block


@pytest.mark.parametrize(
    ("lines", "decoded", "expected"),
    [
        (b"A: b\r\nConnection: close\r\n", False, b"A: b\r\n"),
        (b"Keep-Alive: 5\r\nProxy-Connection: a\r\nTE: b\r\nUpgrade: c\r\nA: b\r\n", False, b"A: b\r\n"),
        (b"Connection: A, content-length\r\nA: b\r\nContent-Length: 5\r\n", False, b"Content-Length: 5\r\n"),
        (b"Connection: close\r\nConnection: A\r\nA: b\r\nC: d\r\n", False, b"C: d\r\n"),
        (b"Connection: A\r\nConnection: close\r\nA: b\r\nC: d\r\n", False, b"C: d\r\n"),
        (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nA: b\r\n",
            False,
            b"Transfer-Encoding: chunked\r\nA: b\r\n",
        ),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nA: b\r\n", True, b"A: b\r\n"),
        (b"Transfer-Encoding: chunked\r\nTrailer: X\r\nA: b\r\n", True, b"A: b\r\n"),
        (
            b"Transfer-Encoding: chunked\r\nTrailer: X\r\nA: b\r\n",
            False,
            b"Transfer-Encoding: chunked\r\nTrailer: X\r\nA: b\r\n",
        ),
    ],
    ids=lambda value: repr(value)[:80],
)
def test_response_fields(lines, decoded, expected):
    assert response_block_to_client(_response(lines), decoded=decoded) == expected
