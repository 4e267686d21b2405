"""alb.md 3 and 4: actions and transforms."""

# ruff: noqa: E501 - one row a line

from tests.conformance.rows import Checked, Exchange, Row, get, has


def _redirect(id: str, fields: str, target: str, location: bytes, status: int = 301, section: str = "3.2") -> Exchange:
    default = f"{{redirect: {{{fields}, status_code: HTTP_{status}}}}}"
    return Exchange(
        id, section, get(target, host="x.example.com:PORT"), status, default=default, answers=has(location=location)
    )


def _rule(action: str) -> str:
    return f"{{priority: 1, conditions: [{{path-pattern: /a}}], {action}}}"


ROWS: list[Row] = [
    _redirect("the port is always written, 443 too", "protocol: HTTPS, port: 443", "/eks/?k=v", b"https://x.example.com:443/eks/?k=v"),
    _redirect("an empty query leaves no question mark", "host: y.example.com, port: 80", "/a", b"http://y.example.com:80/a"),
    _redirect("#{path} goes without its first slash and keeps the rest", "host: y.example.com, port: 80, path: '/#{path}index.html'", "/docs/", b"http://y.example.com:80/docs/index.html"),
    _redirect("a query may hold every placeholder", "port: 81, query: 'u=#{protocol}-#{host}-#{path}'", "/a", b"http://x.example.com:81/a?u=http-x.example.com-a", 302),
    Exchange("a Location over 8 K is 507", "3.2", get("/" + "a" * 9000), 507, default="{redirect: {port: 81, status_code: HTTP_301}}"),
    Exchange("a redirect carries the small page", "3.2", get(), 302, default="{redirect: {port: 81, status_code: HTTP_302}}", answers=has(content_type=b"text/html", server=b"awselb/2.0")),
    Exchange("a fixed response has its type and body", "3.3", get(), 403, default="{fixed-response: {status_code: 403, content_type: application/json, message_body: '{}'}}", answers=has(content_type=b"application/json", content_length=b"2"), body=b"{}"),
    Exchange("a fixed response knows no placeholders", "3.3", get(), 200, default="{fixed-response: {status_code: 200, message_body: 'a #{path}'}}", body=b"a #{path}"),
    Exchange("an odd status is possible", "3.3", get(), 299, default="{fixed-response: {status_code: 299}}"),
    Exchange("a 204 has no length and no body", "3.3", get(), 204, default="{fixed-response: {status_code: 204, message_body: a}}", answers=has(content_length=None)),
    Exchange("HEAD gets no body", "3.3", get(method="HEAD"), 403, default="{fixed-response: {status_code: 403, message_body: abc}}", answers=has(content_length=b"3")),
    Exchange("a url-rewrite replaces the matched part and keeps the rest", "4.2", get("/api/v1/users"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '(^/api(/)?)', replace: '/v2$2'}}], forward: targets}]", first_line=b"GET /v2/v1/users HTTP/1.1"),
    Exchange("without a match the request is the original", "4.2", get("/x%3Ay"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/api', replace: '/v2'}}], forward: targets}]", first_line=b"GET /x%3Ay HTTP/1.1"),
    Exchange("a url-rewrite works on the decoded path", "4.3", get("/svc/10%3A30"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/svc', replace: ''}}], forward: targets}]", first_line=b"GET /10:30 HTTP/1.1"),
    Exchange("a url-rewrite can make a query", "4.2", get("/dp/B01/"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/dp/([A-Za-z0-9]+)/?$', replace: '/product.php?id=$1'}}], forward: targets}]", first_line=b"GET /product.php?id=B01 HTTP/1.1"),
    Exchange("a host-header-rewrite changes what the target gets", "4.2", get(host="mywebsite-a.com"), rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{host-header-rewrite: {regex: '^mywebsite-(.+).com$', replace: 'internal.dev.$1.myweb.com'}}], forward: targets}]", gets=has(host=b"internal.dev.a.myweb.com")),
    Exchange("a redirect sees the rewritten path", "4.4", get("/api/v1/users", host="x:PORT"), 302, rules="[{priority: 1, conditions: [{path-pattern: '*'}], transforms: [{url-rewrite: {regex: '^/api', replace: '/v2'}}], redirect: {host: api.example.com, port: 80, status_code: HTTP_302}}]", answers=has(location=b"http://api.example.com:80/v2/v1/users")),
    Checked("a fixed response cannot be a 3xx", "3.3", _rule("fixed-response: {status_code: 302}"), "out-of-range"),
    Checked("a fixed response has one of five types", "3.3", _rule("fixed-response: {status_code: 200, content_type: text/xml}"), "unknown-value"),
    Checked("a message body has 1024 characters at most", "3.3", _rule("fixed-response: {status_code: 200, message_body: %s}" % ("a" * 1025)), "too-long"),
    Checked("a redirect must change something", "3.2", _rule("redirect: {status_code: HTTP_301}"), "redirect-loop"),
    Checked("changing only the query is a loop", "3.2", _rule("redirect: {query: a=b, status_code: HTTP_301}"), "redirect-loop"),
    Checked("a redirect is 301 or 302", "3.2", _rule("redirect: {port: 81, status_code: HTTP_307}"), "unknown-value"),
    Checked("a redirect path begins with a slash", "3.2", _rule("redirect: {path: a, status_code: HTTP_301}"), "invalid-value"),
    Checked("two routing actions", "3", _rule("forward: targets, fixed-response: {status_code: 200}"), "several-actions"),
    Checked("weight 0 on a single group", "3.1", _rule("forward: {targets: 0}"), "out-of-range"),
    Checked("weights up to 999", "3.1", _rule("forward: {targets: 999}")),
    Checked("weight 1000", "3.1", _rule("forward: {targets: 1000}"), "out-of-range"),
    Checked("a transform on the default rule", "4.1", _rule("forward: targets"), "unknown-key", default="{forward: targets, transforms: []}"),
]  # fmt: skip
