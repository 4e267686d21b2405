"""alb.md 2: conditions."""

# ruff: noqa: E501 - one row a line

from tests.conformance.rows import Checked, Matching, Row

LONG = "a" * 129


def _bad(id: str, section: str, condition: str, code: str) -> Checked:
    return Checked(id, section, f"{{priority: 1, conditions: [{condition}], forward: targets}}", code)


ROWS: list[Row] = [
    Matching("host: any case", "2.3", "[{host-header: X.example.com}]", ("GET /", "GET / | Host: X.EXAMPLE.COM"), ("GET / | Host: y.example.com",)),
    Matching("host: * crosses dots, and the domain itself is not below it", "2.3", "[{host-header: '*.example.com'}]",
             ("GET / | Host: a.example.com", "GET / | Host: a.b.example.com"), ("GET / | Host: example.com",)),
    Matching("host: ? is exactly one character", "2.1", "[{host-header: '?.example.com'}]", ("GET /",), ("GET / | Host: xy.example.com", "GET / | Host: .example.com")),
    Matching("host: literals see it without its port", "2.3", "[{host-header: x.example.com}]", ("GET / | Host: x.example.com:8443",), ()),
    Matching("host: a regex sees the port", "2.2", "[{host-header: {regex: '^x\\.example\\.com:8443$'}}]", ("GET / | Host: x.example.com:8443",), ("GET /",)),
    Matching("path: the case counts", "2.4", "[{path-pattern: /Img}]", ("GET /Img",), ("GET /img",)),
    Matching("path: a pattern covers the whole path", "2.4", "[{path-pattern: /img}]", ("GET /img", "GET /img?a=b"), ("GET /img/", "GET /img/a", "GET /a/img")),
    Matching("path: /img/* is everything below, not itself", "2.4", "[{path-pattern: '/img/*'}]", ("GET /img/", "GET /img/a/b"), ("GET /img",)),
    Matching("path: /img* is all of these", "2.4", "[{path-pattern: '/img*'}]", ("GET /img", "GET /img/a", "GET /imgs"), ("GET /im",)),
    Matching("path: a pattern need not begin with a slash", "2.4", "[{path-pattern: '*.php'}]", ("GET /a/b.php",), ("GET /a/b.phtml",)),
    Matching("path: ? is one character, never the query", "2.4", "[{path-pattern: '/search?q'}]", ("GET /searchXq",), ("GET /search?q", "GET /searchq")),
    Matching("path: slashes are not collapsed", "2.4", "[{path-pattern: //application}]", ("GET //application",), ("GET /application",)),
    Matching("path: escapes are decoded before", "2.4", "[{path-pattern: '/a:b'}]", ("GET /a%3Ab", "GET /a%3ab", "GET /a:b"), ()),
    Matching("header: name and value in any case", "2.5", "[{http-header: {X-Kind: beta}}]", ("GET / | x-kind: BETA",), ("GET / | X-Kind: betas", "GET /")),
    Matching("header: any of repeated lines", "2.5", "[{http-header: {X-Kind: b}}]", ("GET / | X-Kind: a | X-Kind: b",), ("GET / | X-Kind: a | X-Kind: c",)),
    Matching("header: a list is one string", "2.5", "[{http-header: {X-Kind: b}}]", (), ("GET / | X-Kind: a, b",)),
    Matching("header: * around finds it in a list", "2.5", "[{http-header: {X-Kind: '*b*'}}]", ("GET / | X-Kind: a, b",), ()),
    Matching("header: an absent one fails even *", "2.5", "[{http-header: {X-Kind: '*'}}]", ("GET / | X-Kind: a",), ("GET /",)),
    Matching("header: X-Forwarded-For as the client sent it", "2.5", "[{http-header: {X-Forwarded-For: 192.0.2.1}}]", ("GET / | X-Forwarded-For: 192.0.2.1",), ("GET /",)),
    Matching("header: two conditions of one name are ANDed", "1.3", "[{http-header: {A: '*x*'}}, {http-header: {A: '*y*'}}]", ("GET / | A: xy",), ("GET / | A: x", "GET / | A: y")),
    Matching("method: exact, GET is not HEAD", "2.6", "[{http-request-method: GET}]", ("GET /",), ("HEAD /", "POST /")),
    Matching("method: custom ones", "2.6", "[{http-request-method: [MKCOL, HEAD]}]", ("MKCOL /", "HEAD /"), ("GET /",)),
    Matching("query: a pair", "2.7", "[{query-string: {version: v1}}]", ("GET /?version=v1", "GET /?a=b&version=v1", "GET /?VERSION=V1"), ("GET /?version=v2", "GET /?x=v1", "GET /")),
    Matching("query: a value of any key", "2.7", "[{query-string: ['*example*']}]", ("GET /?a=an-example-b",), ("GET /?a=b",)),
    Matching("query: any occurrence of a repeated key", "2.7", "[{query-string: {a: b}}]", ("GET /?a=c&a=b",), ("GET /?a=c&a=d",)),
    Matching("query: * matches an empty value, ? does not", "2.7", "[{query-string: {k: '?'}}]", ("GET /?k=a",), ("GET /?k=",)),
    Matching("query: * matches an empty value", "2.7", "[{query-string: {k: '*'}}]", ("GET /?k=", "GET /?k=a"), ("GET /?j=a",)),
    Matching("query: a backslash makes * literal", "2.7", "[{query-string: {k: 'a\\*b'}}]", ("GET /?k=a*b",), ("GET /?k=axb",)),
    Matching("source-ip: the peer, in CIDR", "2.8", "[{source-ip: 127.0.0.0/8}]", ("GET /",), ()),
    Matching("source-ip: never X-Forwarded-For", "2.8", "[{source-ip: 192.0.2.0/24}]", (), ("GET / | X-Forwarded-For: 192.0.2.1",)),
    Matching("source-ip: values are ORed, families mixed", "2.8", "[{source-ip: ['2001:db8::/32', 127.0.0.1/32]}]", ("GET /",), ()),
    _bad("a host without a dot", "2.1", "{host-header: example}", "invalid-value"),
    _bad("a method in lower case", "2.1", "{http-request-method: get}", "invalid-character"),
    _bad("a host over 128 characters", "2.1", f"{{host-header: {LONG}.com}}", "too-long"),
    _bad("a path over 128 characters", "2.1", f"{{path-pattern: /{LONG}}}", "too-long"),
    _bad("an address without its prefix length", "2.8", "{source-ip: 10.0.0.1}", "invalid-cidr"),
    _bad("Host as an http-header", "2.3", "{http-header: {Host: a.b}}", "invalid-value"),
    _bad("a regex for a method", "2.2", "{http-request-method: {regex: a}}", "wrong-type"),
    _bad("a lookahead in a regex", "2.2", "{path-pattern: {regex: 'a(?=b)'}}", "unsupported-regex"),
    Checked("one host-header condition a rule", "2.1",
            "{priority: 1, conditions: [{host-header: a.b}, {host-header: c.d}], forward: targets}", "duplicate-condition"),
    Checked("any number of http-header conditions", "2.1",
            "{priority: 1, conditions: [{http-header: {A: b}}, {http-header: {A: c}}], forward: targets}"),
]  # fmt: skip
