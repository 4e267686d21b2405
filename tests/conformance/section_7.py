"""alb.md 7: functions as targets."""

# ruff: noqa: E501 - one row a line

from proxy.http1.pages import page
from tests.conformance.rows import RAW, Checked, Invoked, Row, get, has

MIB = 1024 * 1024
TOO_LARGE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MIB + 1) + b"x" * (MIB + 1)


def _post(body: bytes, kind: str = "", *lines: str) -> bytes:
    head = ["POST / HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines]
    if kind:
        head.append(f"Content-Type: {kind}")
    return "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + body


def _encoded(id: str, kind: str, encoded: bool, *lines: str) -> Invoked:
    body = "eA==" if encoded else "x"
    return Invoked(id, "7", _post(b"x", kind, *lines), event=(("body", body), ("isBase64Encoded", encoded)))


def _bad(id: str, returns: str) -> Invoked:
    return Invoked(f"502: {id}", "7", returns=returns, status=502, body=page(502), reason="LambdaInvalidResponse")


def _refused(id: str, status: int, error: str, reason: str, answered: int = 502) -> Invoked:
    return Invoked(id, "7", returns=None, invoke=(status, error), status=answered, body=page(answered), reason=reason)


def _group(id: str, group: str, code: str = "") -> Checked:
    return Checked(
        id, "7", "{priority: 1, conditions: [{path-pattern: /x}], forward: extra}", code, more=f"  extra: {group}\n"
    )


LAMBDA = "target_type: lambda, targets: [users]"

ROWS: list[Row] = [
    Invoked(
        "the event names method and target group",
        "7",
        get("/", method="PUT"),
        event=(
            ("httpMethod", "PUT"),
            (
                "requestContext.elb.targetGroupArn",
                "re:arn:aws:elasticloadbalancing:.+:targetgroup/targets/[0-9a-f]{16}",
            ),
        ),
    ),
    Invoked("the path is not decoded", "7", get("/capture/space%20value"), event=(("path", "/capture/space%20value"),)),
    Invoked(
        "query values are not decoded",
        "7",
        get("/?a=a%2Bb&b=a+b"),
        event=(("queryStringParameters", {"a": "a%2Bb", "b": "a+b"}),),
    ),
    Invoked(
        "a key with = and nothing gives an empty string",
        "7",
        get("/?empty="),
        event=(("queryStringParameters", {"empty": ""}),),
    ),
    Invoked("without a query the object is empty", "7", get("/"), event=(("queryStringParameters", {}),)),
    Invoked("of a repeated key the last value", "7", get("/?a=1&a=2"), event=(("queryStringParameters", {"a": "2"}),)),
    Invoked(
        "of a repeated header the last value", "7", get("/", "X-One: 1", "x-one: 2"), event=(("headers.x-one", "2"),)
    ),
    Invoked(
        "header names are in lower case",
        "7",
        get("/", "X-ONE: 1"),
        event=(("headers.x-one", "1"), ("headers.X-ONE", None)),
    ),
    Invoked("x-forwarded-for is added", "7", event=(("headers.x-forwarded-for", "127.0.0.1"),)),
    Invoked("x-forwarded-proto is added", "7", event=(("headers.x-forwarded-proto", "http"),)),
    Invoked("x-forwarded-port is added", "7", event=(("headers.x-forwarded-port", "re:[0-9]+"),)),
    Invoked(
        "x-amzn-trace-id is added", "7", event=(("headers.x-amzn-trace-id", "re:Root=1-[0-9a-f]{8}-[0-9a-f]{24}"),)
    ),
    Invoked("no body is an empty string", "7", event=(("body", ""), ("isBase64Encoded", False))),
    Invoked(
        "multi-value: all values of a header",
        "7",
        get("/", "X-One: 1", "X-One: 2"),
        multi_value=True,
        event=(("multiValueHeaders.x-one", ["1", "2"]), ("headers", None)),
    ),
    Invoked(
        "multi-value: all values of a key",
        "7",
        get("/?a=1&a=2"),
        multi_value=True,
        event=(("multiValueQueryStringParameters", {"a": ["1", "2"]}), ("queryStringParameters", None)),
    ),
    _encoded("text/* is plain", "text/csv; charset=utf-8", False),
    _encoded("application/json is plain", "application/json", False),
    _encoded("application/javascript is plain", "application/javascript", False),
    _encoded("application/xml is plain", "application/xml", False),
    _encoded("other types are in base64", "application/octet-stream", True),
    _encoded("no type is in base64", "", True),
    _encoded("with content-encoding in base64 always", "text/plain", True, "Content-Encoding: gzip"),
    Invoked(
        "statusDescription has the reason",
        "7",
        returns='{"statusCode": 201, "statusDescription": "201 Made"}',
        status=201,
        body=b"",
    ),
    Invoked(
        "headers go to the client", "7", returns='{"statusCode": 200, "headers": {"X-A": "b"}}', answers=has(x_a=b"b")
    ),
    Invoked(
        "multi-value: several lines of one header",
        "7",
        returns='{"statusCode": 200, "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]}}',
        multi_value=True,
        answers=has(set_cookie=(b"a=1", b"b=2")),
    ),
    Invoked(
        "only the header object of the setting counts",
        "7",
        returns='{"statusCode": 200, "multiValueHeaders": {"x-a": ["b"]}}',
        answers=has(x_a=None),
    ),
    Invoked(
        "a body in base64 is decoded",
        "7",
        returns='{"statusCode": 200, "body": "AP8=", "isBase64Encoded": true}',
        body=b"\x00\xff",
    ),
    Invoked(
        "Content-Length is computed",
        "7",
        returns='{"statusCode": 200, "headers": {"Content-Length": "99"}, "body": "four"}',
        answers=has(content_length=b"4"),
        body=b"four",
    ),
    Invoked(
        "hop-by-hop headers are ignored",
        "7",
        returns='{"statusCode": 200, "headers": {"Connection": "close", "Keep-Alive": "x", "Transfer-Encoding": "chunked"}}',
        answers=has(connection=None, keep_alive=None, transfer_encoding=None),
        doors=RAW,
    ),
    _bad("no JSON", "?"),
    _bad("no object", "[]"),
    _bad("no statusCode", '{"body": ""}'),
    _bad("a statusCode that is no number", '{"statusCode": "ok"}'),
    _bad("a body that is no string", '{"statusCode": 200, "body": {}}'),
    _bad("a header that is no string", '{"statusCode": 200, "headers": {"a": 1}}'),
    Invoked(
        "502: the result is over 1 MB",
        "7",
        returns='{"statusCode": 200, "body": "%s"}' % ("x" * MIB),
        status=502,
        body=page(502),
        reason="LambdaResponseTooLarge",
    ),
    Invoked("413: the body is over 1 MB", "7", TOO_LARGE, status=413, body=page(413), reason="LambdaRequestTooLarge"),
    Invoked(
        "400: a body that is not UTF-8 where its type is text",
        "7",
        _post(b"\xff", "text/plain"),
        status=400,
        reason="LambdaBadRequest",
    ),
    Invoked(
        "400: an upgrade",
        "7",
        get("/", "Connection: Upgrade", "Upgrade: websocket"),
        status=400,
        reason="LambdaWebsocketNotSupported",
        doors=RAW,
    ),
    _refused("502: throttled", 429, "TooManyRequestsException", "LambdaThrottling"),
    _refused("502: no such function", 404, "ResourceNotFoundException", "LambdaResourceNotFound"),
    _refused("502: not allowed", 403, "AccessDeniedException", "LambdaAccessDenied"),
    _refused("502: Lambda fails", 500, "ServiceException", "LambdaServiceException"),
    _refused("502: Lambda answers what nobody knows", 500, "", "LambdaUnhandledException"),
    _refused("413: the event is too large for Lambda", 413, "RequestTooLargeException", "LambdaRequestTooLarge", 413),
    _refused("502: the function fails", 200, "Unhandled", "LambdaUnhandled"),
    _group("one function", f"{{{LAMBDA}}}"),
    _group("two functions", "{target_type: lambda, targets: [a, b]}", "too-many-targets"),
    _group(
        "an ARN with an alias",
        "{target_type: lambda, targets: ['arn:aws:lambda:eu-west-1:123456789012:function:users:live']}",
    ),
    _group("an address", "{target_type: lambda, targets: ['http://a:1']}", "invalid-target"),
    _group("health checks may be switched on", f"{{{LAMBDA}, health_check: {{enabled: true}}}}"),
    _group("a health check has no port", f"{{{LAMBDA}, health_check: {{port: 80}}}}", "not-for-target-type"),
    _group("no protocol version", f"{{{LAMBDA}, protocol_version: HTTP2}}", "not-for-target-type"),
    _group(
        "no deregistration delay",
        f"{{{LAMBDA}, attributes: {{deregistration_delay.timeout_seconds: 0}}}}",
        "not-for-target-type",
    ),
    _group("no stickiness", f"{{{LAMBDA}, attributes: {{stickiness.enabled: true}}}}", "not-for-target-type"),
    _group(
        "multi-value headers are for functions only",
        "{targets: ['http://a:1'], attributes: {lambda.multi_value_headers.enabled: true}}",
        "not-for-target-type",
    ),
]
