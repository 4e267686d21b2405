"""alb.md 8: the statuses that the load balancer gives itself, each with its cause."""

# ruff: noqa: E501 - one row a line

from tests.conformance.rows import RAW, Checked, Exchange, Row, get, has, logs


ROWS: list[Row] = [
    Exchange("HTTP/1.1 without Host is malformed", "8", get(host=None), 400, doors=RAW),
    Exchange("a Host with a control byte is malformed", "8", get(host="a\x01b"), 400, closes=True, doors=RAW),
    Exchange("the gateway's own answers say awselb/2.0", "8", get(method="TRACE"), 405, answers=has(server=b"awselb/2.0", content_type=b"text/html")),
    Exchange("a request line over 16 K is 414", "8", get("/" + "a" * 16_400), 414, doors=RAW),
    Exchange("a header over 16 K is 400", "8", get("/", "A: " + "a" * 16_400), 400, doors=RAW),
    Exchange("headers over 64 K are 400", "8", get("/", *[f"A{number}: " + "a" * 1000 for number in range(70)]), 400, doors=RAW),
    Exchange("response headers over 32 K are 502", "8", status=502, response=b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 6000 + b"\r\n"),
    Exchange("a malformed response is 502", "8", status=502, response=b"nonsense\r\n\r\n"),
    Exchange("a group without a target is 503", "8", status=503, default="{forward: nobody}", body=b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n", answers=has(content_length=b"162")),
    Exchange("a target's own error passes through", "8", status=503, response=b"HTTP/1.1 503 Mine\r\nContent-Length: 0\r\n\r\n", answers=has(server=None)),
]  # fmt: skip
