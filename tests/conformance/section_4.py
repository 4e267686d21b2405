"""alb.md 4: transforms."""

# ruff: noqa: E501, UP031 - one row a line, and YAML is full of braces

from tests.conformance.rows import Checked, Exchange, Row, get, has, logs

RULE = "[{priority: 1, conditions: [{path-pattern: '*'}], %s}]"
REWRITE = "{url-rewrite: {regex: a, replace: b}}"


def _rule(action: str) -> str:
    return f"{{priority: 1, conditions: [{{path-pattern: /a}}], {action}}}"


def _rewrite(id: str, section: str, regex: str, replacement: str, target: str, seen: bytes) -> Exchange:
    rewrite = f"transforms: [{{url-rewrite: {{regex: '{regex}', replace: '{replacement}'}}}}], forward: targets"
    return Exchange(id, section, get(target), rules=RULE % rewrite, first_line=b"GET " + seen + b" HTTP/1.1")


ROWS: list[Row] = [
    Exchange("a url-rewrite replaces the matched part and keeps the rest", "4.2", get("/api/v1/users"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '(^/api(/)?)', replace: '/v2$2'}}], forward: targets}]", first_line=b"GET /v2/v1/users HTTP/1.1"),
    Exchange("without a match the request is the original", "4.2", get("/x%3Ay"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/api', replace: '/v2'}}], forward: targets}]", first_line=b"GET /x%3Ay HTTP/1.1"),
    Exchange("a url-rewrite works on the decoded path", "4.3", get("/svc/10%3A30"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/svc', replace: ''}}], forward: targets}]", first_line=b"GET /10:30 HTTP/1.1"),
    Exchange("a url-rewrite can make a query", "4.2", get("/dp/B01/"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/dp/([A-Za-z0-9]+)/?$', replace: '/product.php?id=$1'}}], forward: targets}]", first_line=b"GET /product.php?id=B01 HTTP/1.1"),
    Exchange("a host-header-rewrite changes what the target gets", "4.2", get(host="mywebsite-a.com"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{host-header-rewrite: {regex: '^mywebsite-(.+).com$', replace: 'internal.dev.$1.myweb.com'}}], forward: targets}]", gets=has(host=b"internal.dev.a.myweb.com")),
    Exchange("a redirect sees the rewritten path", "4.4", get("/api/v1/users", host="x:PORT"), 302, rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/api', replace: '/v2'}}], redirect: {host: api.example.com, port: 80, status_code: HTTP_302}}]", answers=has(location=b"http://api.example.com:80/v2/v1/users")),
    Checked("a transform on the default rule", "4.1", _rule("forward: targets"), "unknown-key", default="{forward: targets, transforms: []}"),
    Checked("two url-rewrites in a rule", "4.1", _rule(f"transforms: [{REWRITE}, {REWRITE}], forward: targets"), "duplicate-transform"),
    Checked("one of each transform", "4.1", _rule(f"transforms: [{REWRITE}, {{host-header-rewrite: {{regex: a, replace: b}}}}], forward: targets")),
    Checked("an unknown transform", "4.1", _rule("transforms: [{header-rewrite: {regex: a, replace: b}}], forward: targets"), "unknown-key"),
    Checked("a transform needs its regex", "4.1", _rule("transforms: [{url-rewrite: {replace: b}}], forward: targets"), "missing-key"),
    Checked("a transform needs its replacement", "4.1", _rule("transforms: [{url-rewrite: {regex: b}}], forward: targets"), "missing-key"),
    Checked("a transform's regex over 1024 characters", "4.1", _rule("transforms: [{url-rewrite: {regex: %s, replace: a}}], forward: targets" % ("a" * 1025)), "too-long"),
    Checked("a transform's replacement over 1024 characters", "4.1", _rule("transforms: [{url-rewrite: {regex: a, replace: %s}}], forward: targets" % ("a" * 1025)), "too-long"),
    Checked("1024 characters", "4.1", _rule("transforms: [{url-rewrite: {regex: %s, replace: %s}}], forward: targets" % ("a" * 1024, "a" * 1024))),
    Checked("a lookahead in a transform", "4.1", _rule("transforms: [{url-rewrite: {regex: 'a(?=b)', replace: a}}], forward: targets"), "unsupported-regex"),
    _rewrite("capture groups", "4.1", "^/(a+)/(b+)$", "/$2/$1", "/aa/b", b"/b/aa"),
    _rewrite("the first match alone is replaced", "4.2", "a", "x", "/aa", b"/xa"),
    _rewrite("the query is part of the subject", "4.2", "q=1", "q=2", "/a?q=1", b"/a?q=2"),
    _rewrite("$ after the path does not match before a query", "4.2", "^/dp/(.*)x$", "/$1", "/dp/ax?q=1", b"/dp/ax?q=1"),
    _rewrite("the whole path, the query kept", "4.2", "^([^?]*)", "/new", "/old?q=1", b"/new?q=1"),
    _rewrite("nothing but the path is decoded", "4.3", "^/svc", "", "/svc/a%3Ab?c=%3A", b"/a:b?c=%3A"),
    Exchange("a transform that fails is 500", "4.2", get("/api/x"), 500, rules=RULE % "transforms: [{url-rewrite: {regex: '^/api', replace: ''}}, {host-header-rewrite: {regex: '.*', replace: ''}}], forward: targets"),
    Exchange("a host-header-rewrite of the whole host", "4.2", get(host="a.example.com"), rules=RULE % "transforms: [{host-header-rewrite: {regex: '.*', replace: b.example.com}}], forward: targets", gets=has(host=b"b.example.com")),
    Exchange("rules see the request before its transforms", "4.2", get(host="a.example.com"), rules="[{priority: 1, conditions: [{host-header: a.example.com}], transforms: [{host-header-rewrite: {regex: '.*', replace: b.example.com}}], forward: targets}]", gets=has(host=b"b.example.com")),
    Exchange("the log has what transforms made", "4.2", get("/api/x", host="a.example.com"), rules=RULE % "transforms: [{url-rewrite: {regex: '^/api', replace: ''}}, {host-header-rewrite: {regex: '^a', replace: b}}], forward: targets", log=logs(transformed_host=r"b\.example\.com", transformed_uri="/x", request_url="http://a.example.com:[0-9]+/api/x")),
    Exchange("the log has - without transforms", "4.2", log=logs(transformed_host="-", transformed_uri="-", request_transform_status="-")),
    Exchange("an escape survives without a url-rewrite", "4.3", get("/a%20b?c=%20"), first_line=b"GET /a%20b?c=%20 HTTP/1.1"),
]  # fmt: skip
