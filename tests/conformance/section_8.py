"""alb.md 8: the statuses that the load balancer gives itself, each with its cause."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import HTTP2, RAW, Exchange, Row, get, has, logs

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"


def _page(status: str) -> bytes:
    title, heading = f"<head><title>{status}</title></head>", f"<center><h1>{status}</h1></center>"
    return "".join(f"{line}\r\n" for line in ("<html>", title, "<body>", heading, "</body>", "</html>")).encode()


ROWS: list[Row] = [
    Exchange("HTTP/1.1 without Host is malformed", "8", get(host=None), 400, doors=RAW),
    Exchange("a Host with a control byte is malformed", "8", get(host="a\x01b"), 400, closes=True, doors=RAW),
    Exchange("a first Host with a blank is malformed", "8", get("/", "Host: c", host="a b"), 400, closes=True, doors=RAW),
    Exchange("the gateway's own answers say awselb/2.0", "8", get(method="TRACE"), 405, answers=has(server=b"awselb/2.0", content_type=b"text/html")),
    Exchange("a request line over 16 K is 414", "8", get("/" + "a" * 16_400), 414, doors=RAW),
    Exchange("a header over 16 K is 400", "8", get("/", "A: " + "a" * 16_400), 400, doors=RAW),
    Exchange("headers over 64 K are 400", "8", get("/", *[f"A{number}: " + "a" * 1000 for number in range(70)]), 400, doors=RAW),
    Exchange("response headers over 32 K are 502", "8", status=502, response=b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 6000 + b"\r\n"),
    Exchange("a malformed response is 502", "8", status=502, response=b"nonsense\r\n\r\n"),
    Exchange("a response whose lines end with LF alone is 502", "8", status=502, response=b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    Exchange("a group without a target is 503", "8", status=503, default="{forward: nobody}", body=b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n", answers=has(content_length=b"162")),
    Exchange("a target's own error passes through", "8", status=503, response=b"HTTP/1.1 503 Mine\r\nContent-Length: 0\r\n\r\n", answers=has(server=None)),
    Exchange("a client that leaves in its body is 400", "8", POST + b"Content-Length: 9\r\n\r\nab", leaves=True, target="says nothing", log=logs(elb_status_code="400", target_status_code="-"), doors=RAW),
    Exchange("a Severe request is 400", "8", POST + b"Content-Length: a\r\n\r\n", 400, doors=RAW),
    Exchange("a query that is too long is 414", "8", get("/?" + "a" * 16_400), 414, doors=RAW),
    Exchange("a body in the load balancer's form", "8", get(method="TRACE"), 405, body=_page("405 Not Allowed"), answers=has(content_type=b"text/html", server=b"awselb/2.0", date=b"re:[A-Z][a-z]{2}, .* GMT"), doors=RAW),
    Exchange("a client that is silent is 408", "8", b"G", 408, later=61, log=logs(elb_status_code="408"), doors=RAW),
    Exchange("a client that closes before the target answered is 460", "8", target="says nothing", leaves=True, log=logs(elb_status_code="460", target_status_code="-")),
    Exchange("a client that closes before the target answered is 460, over HTTP/2", "8", target="says nothing", leaves=True, log=logs(elb_status_code="460", type="h2"), doors=HTTP2),
    Exchange("more than 30 addresses are 463", "8", get("/", "X-Forwarded-For: " + ",".join(["1.1.1.1"] * 31)), 463, log=logs(elb_status_code="463", target_status_code="-")),
    Exchange("a protocol version that does not fit is 464", "8", status=464, protocol_version="GRPC", log=logs(elb_status_code="464", target_status_code="-")),
    Exchange("a transform that fails is 500", "8", get("/api/x"), 500, rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{host-header-rewrite: {regex: '.*', replace: ''}}], forward: targets}]", log=logs(elb_status_code="500")),
    Exchange("an unknown Transfer-Encoding is 501", "8", POST + b"Transfer-Encoding: x\r\n\r\n", 501, doors=RAW),
    Exchange("a target that refuses connections is 502", "8", status=502, target="refuses connections", body=_page("502 Bad Gateway"), answers=has(content_length=b"122"), log=logs(elb_status_code="502", target_status_code="-")),
    Exchange("a target that closes as it accepts is 502", "8", POST + EMPTY, 502, target="closes as it accepts"),
    Exchange("a target that closes while a request is outstanding is 502", "8", POST + EMPTY, 502, target="closes after the request"),
    Exchange("a target that resets while a request is outstanding is 502", "8", POST + EMPTY, 502, target="resets after the request"),
    Exchange("invalid headers are 502", "8", POST + EMPTY, 502, response=b"HTTP/1.1 200 OK\r\nA\x00: b\r\nContent-Length: 0\r\n\r\n"),
    Exchange("a Content-Length that is no number is 502", "8", POST + EMPTY, 502, response=b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n"),
    Exchange("a failed TLS handshake is 502", "8", status=502, target="knows no TLS"),
    Exchange("a target that accepts no connection is 504", "8", status=504, target="accepts no connection", body=_page("504 Gateway Time-out"), log=logs(elb_status_code="504", target_status_code="-")),
    Exchange("a target that is silent is 504", "8", status=504, target="says nothing", later=61, log=logs(elb_status_code="504", target_status_code="-")),
    Exchange("a TLS handshake that does not end is 504", "8", status=504, target="says nothing in its TLS handshake"),
    Exchange("an unexpected version is 505", "8", b"GET / HTTP/2.5\r\nHost: x\r\n\r\n", 505, doors=RAW),
    Exchange("a redirect that is too long is 507", "8", get("/" + "a" * 9000), 507, default="{redirect: {port: 81, status_code: HTTP_301}}"),
    Exchange("502 for gRPC", "8", get("/a.B/c", "Content-Type: application/grpc", method="POST") + b"\0\0\0\0\0", 502, protocol_version="GRPC", target="refuses connections", answers=has(grpc_status=b"14", grpc_message=b"unavailable"), doors=HTTP2),
    Exchange("the gateway's own codes are counted", "8", get(method="TRACE"), 405, counts=("strangler_elb_errors_total",)),
    Exchange("a target's codes are counted", "8", status=503, response=b"HTTP/1.1 503 Mine\r\nContent-Length: 0\r\n\r\n", counts=("strangler_target_responses_total",)),
]  # fmt: skip
