"""alb.md 6: request handling."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import ANY_PORT, HTTP2, RAW, Checked, Exchange, Http2Connection, Row, get, has, logs

OWN = b"127.0.0.1"
DNS_NAME = b"127.0.0.1"
"""What stands for the load balancer's DNS name: the address that the client connected to."""
REMOVE, PRESERVE = (f"{{routing.http.xff_header_processing.mode: {mode}}}" for mode in ("remove", "preserve"))
KEEP_HOST = "{routing.http.preserve_host_header.enabled: true}"
DROP = "{routing.http.drop_invalid_header_fields.enabled: true}"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


def _forwarded(id: str, sent: str, seen: bytes | None, attributes: str = "{}") -> Exchange:
    lines = (f"X-Forwarded-For: {sent}",) if sent else ()
    return Exchange(id, "6.1", get("/", *lines), attributes=attributes, gets=has(x_forwarded_for=seen))


def _host(
    id: str, port: int, host: str | None, seen: bytes, target: str = "/", attributes: str = "{}", version: str = "1.1"
) -> Exchange:
    send = get(target, host=host, version=version)
    return Exchange(id, "6.3", send, attributes=attributes, gets=has(host=seen), port=port, doors=ANY_PORT)


PORT_TOO = "{routing.http.xff_client_port.enabled: true}"
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
UPGRADE = get(
    "/chat",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==",
)
RESPONSE_HEADERS = {
    "strict_transport_security": "max-age=60", "access_control_allow_origin": "*", "access_control_allow_methods": "GET",
    "access_control_allow_headers": "X-A", "access_control_allow_credentials": "true", "access_control_expose_headers": "X-B",
    "access_control_max_age": "60", "content_security_policy": "default-src", "x_content_type_options": "nosniff", "x_frame_options": "DENY",
}  # fmt: skip


ROWS: list[Row] = [
    _forwarded("append, nothing sent", "", OWN),
    _forwarded("append, one sent", "127.0.0.4", b"127.0.0.4, 127.0.0.1"),
    _forwarded("append, two sent", "127.0.0.4, 127.0.0.8", b"127.0.0.4, 127.0.0.8, 127.0.0.1"),
    _forwarded("preserve, nothing sent", "", None, PRESERVE),
    _forwarded("preserve, one sent", "127.0.0.4", b"127.0.0.4", PRESERVE),
    _forwarded("preserve, two sent", "127.0.0.4, 127.0.0.8", b"127.0.0.4, 127.0.0.8", PRESERVE),
    _forwarded("remove, nothing sent", "", None, REMOVE),
    _forwarded("remove, one sent", "127.0.0.4", None, REMOVE),
    _forwarded("remove, two sent", "127.0.0.4, 127.0.0.8", None, REMOVE),
    _forwarded("the client port is for append only", "127.0.0.4", b"127.0.0.4", PRESERVE[:-1] + ", routing.http.xff_client_port.enabled: true}"),
    Exchange("30 addresses pass", "6.1", get("/", "X-Forwarded-For: " + ", ".join(["1.1.1.1"] * 30))),
    Exchange("31 addresses are 463", "6.1", get("/", "X-Forwarded-For: " + ", ".join(["1.1.1.1"] * 31)), 463),
    Exchange("proto and port are the gateway's", "6.1", get("/", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1"), gets=has(x_forwarded_proto=b"http", x_forwarded_port=b"PORT")),
    Exchange("proto and port cannot be switched off", "6.1", get(), attributes=REMOVE, gets=has(x_forwarded_proto=b"http", x_forwarded_port=b"PORT")),
    Exchange("without a trace id there is a Root", "6.2", get(), gets=has(x_amzn_trace_id=b"re:Root=1-[0-9a-f]{8}-[0-9a-f]{24}")),
    Exchange("with a Root a Self comes in front", "6.2", get("/", "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;CalledFrom=app"), gets=has(x_amzn_trace_id=b"re:Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678;CalledFrom=app")),
    Exchange("a Self is replaced", "6.2", get("/", "X-Amzn-Trace-Id: Self=1-1-1;Root=1-67891233-abcdef012345678912345678"), gets=has(x_amzn_trace_id=b"re:Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678")),
    Exchange("headers over 7 KB get a fresh Root", "6.2", get("/", "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678", "A: " + "a" * 8000), gets=has(x_amzn_trace_id=b"re:Root=1-(?!67891233)[0-9a-f]{8}-[0-9a-f]{24}")),
    Exchange("the response has no trace id", "6.2", get(), answers=has(x_amzn_trace_id=None)),
    _host("port 80: the name", 80, "example.com", b"example.com"),
    _host("port 80: a port is removed", 80, "example.com:80", b"example.com"),
    _host("port 80: any port is removed", 80, "example.com:8443", b"example.com"),
    _host("port 443: a port is removed", 443, "example.com:443", b"example.com"),
    _host("port 80: preserved with its port", 80, "example.com:80", b"example.com:80", attributes=KEEP_HOST),
    _host("port 8080: the port is added", 8080, "example.com", b"example.com:8080"),
    _host("port 8080: preserved without a port", 8080, "example.com", b"example.com", attributes=KEEP_HOST),
    _host("the name in lower case", 80, "EXAMPLE.com", b"example.com"),
    _host("HTTP/1.0 without Host: the gateway's own name", 80, None, DNS_NAME, version="1.0"),
    Exchange("absolute-form: the target's host", "6.3", get("http://dns_name:PORT/index.html", host="example.com"), first_line=b"GET /index.html HTTP/1.1", gets=has(host=b"dns_name:PORT"), doors=RAW),
    Exchange("absolute-form: without its user", "6.3", get("http://user:word@dns_name:PORT/", host="example.com"), gets=has(host=b"dns_name:PORT"), doors=RAW),
    Exchange("absolute-form, preserved: the Host header", "6.3", get("http://dns_name:PORT/index.html", host="example.com"), attributes=KEEP_HOST, gets=has(host=b"example.com"), doors=RAW),
    Exchange("several Host headers, preserved: all", "6.3", get("/", "Host: b", host="a"), attributes=KEEP_HOST, gets=has(host=(b"a", b"b")), doors=RAW),
    Exchange("several Host headers: the first", "6.3", get("/", "Host: b", host="a"), gets=has(host=b"a:PORT"), doors=RAW),
    Exchange("hop-by-hop headers end here", "6.4", get("/", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: 5", "TE: trailers"), gets=has(connection=None, x_hop=None, keep_alive=None, te=None)),
    Exchange("the client's Connection: close is honoured", "6.4", get("/", "Connection: close"), closes=True),
    Exchange("a target's Connection: close is the target's", "6.4", response=b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", answers=has(connection=None), closes=False),
    Exchange("Expect is not passed on", "6.4", POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab", gets=has(expect=None), doors=RAW),
    Exchange("names with _ and . are passed on", "6.4", get("/", "X_a: 1", "x.b: 2", "x-c: 3"), gets=(*has(x_c=b"3"), ("x_a", (b"1",)), ("x.b", (b"2",)))),
    Exchange("names with _ and . are dropped, if so set", "6.4", get("/", "X_a: 1", "x.b: 2", "x-c: 3"), attributes=DROP, gets=(*has(x_c=b"3"), ("x_a", ()), ("x.b", ()))),
    Exchange("dropped names are not there for the rules", "2.5", get("/", "X_a: 1"), attributes=DROP, rules="[{priority: 1, conditions: [{http-header: {X_a: '*'}}], fixed-response: {status_code: 210}}]"),
    Exchange("a folded line gets its colon", "6.4", get("/", "A: b", " c"), gets=has(a=b"b", c=b""), doors=RAW),
    Exchange("response headers of the listener on a target's response", "6.4", listener="{routing.http.response.x_frame_options.header_value: DENY}", response=b"HTTP/1.1 200 OK\r\nX-Frame-Options: a\r\nContent-Length: 0\r\n\r\n", answers=has(x_frame_options=b"DENY")),
    Exchange("response headers of the listener on an error page", "6.4", get(method="TRACE"), 405, listener="{routing.http.response.content_security_policy.header_value: default-src 'self'}", answers=has(content_security_policy=b"default-src 'self'")),
    Exchange("response headers of the listener on a fixed response", "6.4", status=404, default="{fixed-response: {status_code: 404}}", listener="{routing.http.response.access_control_allow_origin.header_value: '*'}", answers=has(access_control_allow_origin=b"*")),
    Exchange("Server can be removed", "6.4", get(method="TRACE"), 405, listener="{routing.http.response.server.enabled: false}", answers=has(server=None)),
    Exchange("a target's Server stays", "6.4", listener="{routing.http.response.server.enabled: false}", response=b"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\n\r\n", answers=has(server=b"t")),
    *[Exchange(f"{method} is forwarded", "6.5", get(method=method), first_line=f"{method} / HTTP/1.1".encode()) for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "MKCOL")],
    Exchange("HEAD is forwarded as HEAD", "6.5", get(method="HEAD"), first_line=b"HEAD / HTTP/1.1", response=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
    Exchange("TRACE is 405", "6.5", get(method="TRACE"), 405),
    Exchange("chunked is passed on", "6.5", POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", gets=has(transfer_encoding=b"chunked")),
    Exchange("identity is taken", "6.5", POST + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nab", gets=has(transfer_encoding=None, content_length=b"2"), doors=RAW),
    *[Exchange(f"Transfer-Encoding {value} is 501", "6.5", POST + f"Transfer-Encoding: {value}\r\n\r\n".encode(), 501, closes=True, doors=RAW) for value in ("gzip", "gzip, chunked", "deflate", "xchunked")],
    *[Exchange(f"{version} is 505", "6.5", f"GET / {version}\r\nHost: x\r\n\r\n".encode(), 505, closes=True, doors=RAW) for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/0.8")],
    Exchange("HTTP/1.0 goes to the target as HTTP/1.1", "6.4", get(version="1.0"), first_line=b"GET / HTTP/1.1", closes=True, doors=RAW),
    Checked("idle timeout from 1", "6.6", attributes="{idle_timeout.timeout_seconds: 1}"),
    Checked("idle timeout to 4000", "6.6", attributes="{idle_timeout.timeout_seconds: 4001}", code="out-of-range"),
    Checked("client keep-alive from 60", "6.6", attributes="{client_keep_alive.seconds: 59}", code="out-of-range"),
    Checked("client keep-alive to 604800", "6.6", attributes="{client_keep_alive.seconds: 604800}"),
    Exchange("the client port is appended", "6.1", get("/", "X-Forwarded-For: 127.0.0.4"), attributes=PORT_TOO, gets=has(x_forwarded_for=rb"re:127\.0\.0\.4, 127\.0\.0\.1:[0-9]+")),
    Exchange("the client port when nothing was sent", "6.1", attributes=PORT_TOO, gets=has(x_forwarded_for=rb"re:127\.0\.0\.1:[0-9]+")),
    Exchange("the client port is not for remove", "6.1", get("/", "X-Forwarded-For: 127.0.0.4"), attributes=REMOVE[:-1] + ", routing.http.xff_client_port.enabled: true}", gets=has(x_forwarded_for=None)),
    Exchange("several lines are one list", "6.1", get("/", "X-Forwarded-For: 127.0.0.4", "X-Forwarded-For: 127.0.0.8"), gets=has(x_forwarded_for=b"127.0.0.4, 127.0.0.8, 127.0.0.1")),
    Exchange("proto over HTTP/2", "6.1", gets=has(x_forwarded_for=OWN, x_forwarded_port=b"PORT"), doors=HTTP2),
    Checked("another mode", "6.1", attributes="{routing.http.xff_header_processing.mode: drop}", code="unknown-value"),
    Exchange("other fields of the trace id are preserved", "6.2", get("/", "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;CalledFrom=app;TotalTime=5"), gets=has(x_amzn_trace_id=b"re:Self=[^;]+;Root=1-67891233-abcdef012345678912345678;CalledFrom=app;TotalTime=5")),
    Exchange("the trace id is logged", "6.2", get("/", "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678"), log=logs(trace_id="Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-67891233-abcdef012345678912345678")),
    Exchange("a trace id over HTTP/2", "6.2", gets=has(x_amzn_trace_id=b"re:Root=1-[0-9a-f]{8}-[0-9a-f]{24}"), doors=HTTP2),
    Exchange("the name in lower case, over HTTP/2", "6.3", get(host="EXAMPLE.com"), gets=has(host=b"example.com:PORT"), doors=HTTP2),
    Exchange("names from HTTP/2 stay in lower case, but for seven", "6.4", get("/", "X-Kind: a"), names=(b"x-kind", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Port", b"Host", b"X-Amzn-Trace-Id"), doors=HTTP2),
    Exchange("connections to targets are kept and shared by clients", "6.4", then=((get("/b"), 200), (get("/c"), 200)), connections=1, doors=RAW),
    Exchange("a target's Connection: close prevents reuse", "6.4", response=CLOSES, then=((get("/b"), 200),), connections=2, doors=RAW),
    Exchange("a target gets no Connection: close of the client's", "6.4", get("/", "Connection: close"), gets=has(connection=None)),
    Exchange("Expect over HTTP/2 is not answered and not passed on", "6.4", POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\nab", gets=has(expect=None), doors=HTTP2),
    Exchange("invalid names that pass are counted", "6.4", get("/", "X_a: 1"), counts=("strangler_invalid_header_requests_total",)),
    Exchange("invalid names that are dropped are counted", "6.4", get("/", "X_a: 1"), attributes=DROP, counts=("strangler_invalid_header_requests_total",)),
    Exchange("- is a valid character", "6.4", get("/", "X-a: 1"), attributes=DROP, gets=has(x_a=b"1")),
    Exchange("no TLS headers without TLS", "6.4", attributes="{routing.http.x_amzn_tls_version_and_cipher_suite.enabled: true}", gets=has(x_amzn_tls_version=None, x_amzn_tls_cipher_suite=None)),
    *[Exchange(f"the response header {name.replace('_', '-')} is off until set", "6.4", answers=((name.replace("_", "-"), ()),)) for name in RESPONSE_HEADERS],
    *[Exchange(f"the response header {name.replace('_', '-')}", "6.4", status=404, listener=f"{{routing.http.response.{name}.header_value: '{value}'}}", default="{fixed-response: {status_code: 404}}", answers=((name.replace("_", "-"), (value.encode(),)),)) for name, value in RESPONSE_HEADERS.items()],
    Exchange("response headers on a target's 500", "6.4", status=500, listener="{routing.http.response.x_frame_options.header_value: DENY}", response=b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", answers=has(x_frame_options=b"DENY")),
    Exchange("Server is sent", "6.4", status=404, default="{fixed-response: {status_code: 404}}", answers=has(server=b"awselb/2.0")),
    Exchange("a body of 3 MB", "6.5", POST + b"Content-Length: 3000000\r\n\r\n" + b"a" * 3_000_000),
    Exchange("TRACE over HTTP/2", "6.5", get(method="TRACE"), 405, doors=HTTP2),
    Exchange("a body shorter than announced", "6.5", response=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", target="answers, then says nothing", later=61, log=logs(elb_status_code="200")),
    Exchange("a client that is silent from the beginning is closed after 60 s", "6.6", b"", 408, closes=True, later=61, doors=RAW),
    Exchange("a client that is silent in its head", "6.6", b"GET / HTTP/1.1\r\nHo", 408, closes=True, later=61, doors=RAW),
    Exchange("a client that is silent after a response is closed", "6.6", closes=True, later=61, doors=RAW),
    Exchange("a target that is silent", "6.6", status=504, target="says nothing", later=61),
    Exchange("a target that is silent, over HTTP/2", "6.6", status=504, target="says nothing", later=61, doors=HTTP2),
    Exchange("a target that is silent for less", "6.6", status=504, attributes="{idle_timeout.timeout_seconds: 4}", target="says nothing", later=5),
    Exchange("the lifetime of a client connection is 3600 s", "6.6", attributes="{idle_timeout.timeout_seconds: 4000}", closes=True, later=3601, doors=RAW),
    Exchange("the lifetime of a client connection", "6.6", attributes="{idle_timeout.timeout_seconds: 4000, client_keep_alive.seconds: 60}", closes=True, later=61, doors=RAW),
    Http2Connection("an idle HTTP/2 connection is closed after 60 s", "6.6", later=61),
    Http2Connection("an HTTP/2 PING does not keep it", "6.6", pings=True, later=61),
    Exchange("a target that accepts no connection", "6.6", status=504, target="accepts no connection", closes=False),
    Exchange("a target that is silent in its TLS handshake", "6.6", status=504, target="says nothing in its TLS handshake"),
    Exchange("an upgrade is passed on, and then the bytes", "6.7", UPGRADE, 101, target="echoes over a WebSocket", gets=has(upgrade=b"websocket", connection=b"Upgrade"), log=logs(type="ws", elb_status_code="101", target_status_code="101", request_verb="GET"), doors=RAW),
    Exchange("rules choose the target of an upgrade", "6.7", UPGRADE, 210, rules="[{priority: 1, conditions: [{http-header: {Upgrade: websocket}}], fixed-response: {status_code: 210}}]", doors=RAW),
    Exchange("a target may refuse an upgrade", "6.7", UPGRADE, 200, log=logs(type="http"), doors=RAW),
    Exchange("an IPv6 client when nothing was sent", "6.1", gets=has(x_forwarded_for=b"2001:db8::1"), peer="2001:db8::1", doors=ANY_PORT),
    Exchange("an IPv6 client that is appended", "6.1", get("/", "X-Forwarded-For: 127.0.0.4"), gets=has(x_forwarded_for=b"127.0.0.4, [2001:db8::1]"), peer="2001:db8::1", doors=ANY_PORT),
    Exchange("an IPv6 client with its port", "6.1", attributes=PORT_TOO, gets=has(x_forwarded_for=b"[2001:db8::1]:40000"), peer="2001:db8::1", doors=ANY_PORT),
]  # fmt: skip
