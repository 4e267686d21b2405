"""alb.md 3: actions."""

# ruff: noqa: E501 - one row a line, and YAML is full of braces

from tests.conformance.rows import Checked, Exchange, Row, get, has, logs


def _redirect(id: str, fields: str, target: str, location: bytes, status: int = 301, section: str = "3.2") -> Exchange:
    default = f"{{redirect: {{{fields}, status_code: HTTP_{status}}}}}"
    return Exchange(
        id, section, get(target, host="x.example.com:PORT"), status, default=default, answers=has(location=location)
    )


def _rule(action: str) -> str:
    return f"{{priority: 1, conditions: [{{path-pattern: /a}}], {action}}}"


OTHER = "  other: {targets: ['http://127.0.0.1:1']}\n"
OIDC = (
    "authenticate-oidc: {issuer: 'https://a', authorization_endpoint: 'https://a/b', token_endpoint: 'https://a/c', "
    "user_info_endpoint: 'https://a/d', client_id: e, client_secret: '${NO_SECRET:-f}'}"
)
HTTPS_ENTRY = "protocol: HTTPS, certificates: [{certificate_file: a.pem, private_key_file: a.key}],"
HTTPS_RULE = _rule("redirect: {protocol: HTTP, status_code: HTTP_301}")


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
    Checked("an unknown action", "3", _rule("weighted-forward: targets, forward: targets"), "unknown-key"),
    Checked("no action", "3", "{priority: 1, conditions: [{path-pattern: /a}]}", "missing-action"),
    Checked("authentication on an HTTP listener", "3", _rule(f"{OIDC}, forward: targets"), "authentication-without-https"),
    Checked("jwt-validation on an HTTP listener", "3", _rule("jwt-validation: {issuer: a, jwks_endpoint: 'https://a/b'}, forward: targets"), "authentication-without-https"),
    Checked("two authentications in a rule", "3", _rule(f"{OIDC}, jwt-validation: {{issuer: a, jwks_endpoint: 'https://a/b'}}, forward: targets"), "several-actions", entry=HTTPS_ENTRY),
    Checked("an HTTP2 target group on an HTTP listener", "3", group="{targets: ['http://127.0.0.1:1'], protocol_version: HTTP2}", code="incompatible-protocols"),
    Checked("a GRPC target group on an HTTP listener", "3", group="{targets: ['http://127.0.0.1:1'], protocol_version: GRPC}", code="incompatible-protocols"),
    Checked("weight 0 beside others", "3.1", default="{forward: {targets: 0, other: 1}}", more=OTHER),
    Checked("a weight is missing", "3.1", default="{forward: {targets: , other: 1}}", more=OTHER, code="wrong-type"),
    Checked("a single group needs no weight", "3.1", _rule("forward: targets")),
    Checked("an unknown target group", "3.1", _rule("forward: nobody"), "unknown-target-group"),
    Checked("all weights 0", "3.1", default="{forward: {targets: 0, other: 0}}", more=OTHER, warning="all-weights-zero"),
    Checked("group stickiness of 604801 s", "3.1", default="{forward: {targets: 1, other: 1}, stickiness: {duration_seconds: 604801}}", more=OTHER, code="out-of-range"),
    Checked("group stickiness of 0 s", "3.1", default="{forward: {targets: 1, other: 1}, stickiness: {duration_seconds: 0}}", more=OTHER, code="out-of-range"),
    Checked("group stickiness of 604800 s", "3.1", default="{forward: {targets: 1, other: 1}, stickiness: {duration_seconds: 604800}}", more=OTHER),
    Checked("group stickiness without a duration", "3.1", default="{forward: {targets: 1, other: 1}, stickiness: {}}", more=OTHER, code="missing-key"),
    Checked("target stickiness in one of several groups needs group stickiness", "3.1", default="{forward: {targets: 1, other: 1}}", group="{targets: ['http://127.0.0.1:1'], attributes: {stickiness.enabled: true}}", more=OTHER, code="group-stickiness-required"),
    Checked("HTTP and HTTPS groups in one forward", "3.1", default="{forward: {targets: 1, other: 1}}", group="{targets: ['https://127.0.0.1:1']}", more=OTHER, warning="refused-by-load-balancer"),
    Exchange("AWSALBTG and its twin on the first response", "3.1", default="{forward: {targets: 1, nobody: 0}, stickiness: {duration_seconds: 60}}", answers=has(set_cookie=(rb"re:AWSALBTG=[^;]+; Expires=[^;]+ GMT; Path=/", rb"re:AWSALBTGCORS=[^;]+; Expires=[^;]+ GMT; Path=/; SameSite=None"))),
    _redirect("only the port changes", "port: 81", "/a?b=c", b"http://x.example.com:81/a?b=c"),
    _redirect("only the host changes", "host: y.example.com", "/a", b"http://y.example.com:PORT/a"),
    _redirect("protocol changed, the port left", "protocol: HTTPS", "/new-path", b"https://x.example.com:PORT/new-path"),
    _redirect("protocol and an odd port", "protocol: HTTPS, host: secure.example.com, port: 8443, path: /secure", "/", b"https://secure.example.com:8443/secure"),
    _redirect("a path with every placeholder", "port: 81, path: '/#{host}/#{path}/#{port}'", "/a/b", b"http://x.example.com:81/x.example.com/a/b/PORT"),
    _redirect("a query of its own", "port: 81, query: 'a=b'", "/?c=d", b"http://x.example.com:81/?a=b"),
    _redirect("an empty query drops the request's", "port: 81, query: ''", "/?c=d", b"http://x.example.com:81/"),
    _redirect("wildcards have no meaning", "port: 81, path: '/*?'", "/a", b"http://x.example.com:81/*?"),
    Exchange("a redirect sends no body to HEAD", "3.2", get(method="HEAD"), 302, default="{redirect: {port: 81, status_code: HTTP_302}}", answers=has(content_type=b"text/html")),
    Exchange("a Location over 8 K is counted", "3.2", get("/" + "a" * 9000), 507, default="{redirect: {port: 81, status_code: HTTP_301}}", log=logs(elb_status_code="507")),
    Checked("a redirect needs its status", "3.2", _rule("redirect: {port: 81}"), "missing-key"),
    Checked("a redirect to another protocol", "3.2", _rule("redirect: {protocol: FTP, status_code: HTTP_301}"), "unknown-value"),
    Checked("a redirect from HTTPS to HTTP", "3.2", HTTPS_RULE, "https-to-http", entry=HTTPS_ENTRY),
    Checked("a redirect port of 65536", "3.2", _rule("redirect: {port: 65536, status_code: HTTP_301}"), "out-of-range"),
    Checked("a redirect host over 128 characters", "3.2", _rule("redirect: {host: %s, status_code: HTTP_301}" % ("a" * 129)), "too-long"),
    Checked("a redirect path over 128 characters", "3.2", _rule("redirect: {path: /%s, status_code: HTTP_301}" % ("a" * 128)), "too-long"),
    Checked("a redirect query over 128 characters", "3.2", _rule("redirect: {port: 81, query: %s, status_code: HTTP_301}" % ("a" * 129)), "too-long"),
    Checked("a redirect query without its ?", "3.2", _rule("redirect: {port: 81, query: '?a', status_code: HTTP_301}"), "invalid-value"),
    Checked("a placeholder twice in a path", "3.2", _rule("redirect: {path: '/#{path}/#{path}', status_code: HTTP_301}"), "invalid-placeholder"),
    Checked("a placeholder that a path does not have", "3.2", _rule("redirect: {path: '/#{query}', status_code: HTTP_301}"), "invalid-placeholder"),
    Checked("a placeholder that a host does not have", "3.2", _rule("redirect: {host: 'a.#{path}', status_code: HTTP_301}"), "invalid-placeholder"),
    Checked("a url-rewrite makes no unchanged path another", "3.2", _rule("transforms: [{url-rewrite: {regex: a, replace: b}}], redirect: {path: '/#{path}', status_code: HTTP_301}"), "redirect-loop"),
    *[Exchange(f"{status} as a fixed response", "3.3", status=status, default=f"{{fixed-response: {{status_code: {status}}}}}", answers=has(content_type=b"text/plain")) for status in (200, 400, 499, 500, 599)],
    *[Exchange(f"{kind} as a fixed response", "3.3", default=f"{{fixed-response: {{status_code: 200, content_type: {kind}, message_body: a}}}}", answers=has(content_type=kind.encode())) for kind in ("text/plain", "text/css", "text/html", "application/javascript", "application/json")],
    Checked("a fixed response needs its status", "3.3", _rule("fixed-response: {message_body: a}"), "missing-key"),
    *[Checked(f"a fixed response of {status}", "3.3", _rule(f"fixed-response: {{status_code: {status}}}"), "out-of-range") for status in (199, 300, 399, 600)],
    Checked("a message body of 1024 characters", "3.3", _rule("fixed-response: {status_code: 200, message_body: %s}" % ("a" * 1024))),
    Exchange("a fixed response is logged and counted without a target", "3.3", status=404, default="{fixed-response: {status_code: 404}}", log=logs(actions_executed="fixed-response", target_port_list="-", elb_status_code="404", target_status_code="-"), counts=("strangler_fixed_responses_total",)),
]  # fmt: skip
