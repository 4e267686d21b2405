"""The rule book of the six conditions, sentence by sentence (alb.md 2)."""

from __future__ import annotations

import pytest

from proxy.config.model import ConditionConfig, QueryPair
from proxy.rules.conditions import CONDITIONS, Condition, parse_peer
from proxy.rules.patterns import PatternError
from proxy.rules.request import RequestView


def condition(config: ConditionConfig) -> Condition:
    return CONDITIONS[config.field].compile(config)


def host(*values: str) -> ConditionConfig:
    return ConditionConfig("host-header", values)


def path(*values: str) -> ConditionConfig:
    return ConditionConfig("path-pattern", values)


def method(*values: str) -> ConditionConfig:
    return ConditionConfig("http-request-method", values)


def header(name: str, *values: str) -> ConditionConfig:
    return ConditionConfig("http-header", values, header_name=name)


def query(*pairs: str | tuple[str, str]) -> ConditionConfig:
    made = (QueryPair(None, pair) if isinstance(pair, str) else QueryPair(*pair) for pair in pairs)
    return ConditionConfig("query-string", pairs=tuple(made))


def source(*values: str) -> ConditionConfig:
    return ConditionConfig("source-ip", values)


def get(target: str, *headers: tuple[str, str]) -> RequestView:
    return RequestView.of("GET", target, list(headers))


def at(*hosts: str) -> RequestView:
    return get("/", *(("Host", value) for value in hosts))


def sent(*headers: tuple[str, str]) -> RequestView:
    return get("/", ("Host", "a.example"), *headers)


def from_(peer: str, *headers: tuple[str, str]) -> RequestView:
    return RequestView.of("GET", "/", list(headers), peer=peer)


HOST_RULES = [
    pytest.param(host("a.example.com"), at("A.Example.COM"), True, id="2.3 host: case does not matter"),
    pytest.param(host("A.Example.com"), at("a.example.com"), True, id="2.3 host: nor in the value"),
    pytest.param(host("*.example.com"), at("a.example.com"), True, id="2.3 host: a star is a label"),
    pytest.param(host("*.example.com"), at("a.b.example.com"), True, id="2.3 host: or several labels"),
    pytest.param(host("*.example.com"), at("example.com"), False, id="2.3 host: never the bare domain"),
    pytest.param(host("*.example.com"), at(".example.com"), True, id="2.1 a star may be nothing"),
    pytest.param(host("?.example.com"), at("ab.example.com"), False, id="2.1 a question mark is one"),
    pytest.param(host("?.example.com"), at(".example.com"), False, id="2.1 a question mark is not none"),
    pytest.param(host("example.com"), at("example.com.evil.org"), False, id="2.1 the whole host is compared"),
    pytest.param(host("a.example"), at("a.example:8080"), True, id="14.3 host: the port does not count"),
    pytest.param(host("a.example"), at("b.example", "a.example"), False, id="1.3 only the first Host counts"),
    pytest.param(host("a.example"), at("a.example", "b.example"), True, id="1.3 the first Host of several"),
    pytest.param(host("a.example", "b.example"), at("b.example"), True, id="1.3 values are ORed"),
    pytest.param(host("*"), get("/"), False, id="2.3 host: no Host satisfies nothing"),
    pytest.param(host("*"), at(""), False, id="14.14 host: nor does an empty one"),
    pytest.param(host("a.example"), at("a-example"), False, id="2.1 a dot is a dot"),
]

PATH_RULES = [
    pytest.param(path("/img"), get("/img"), True, id="2.4 path: a literal is itself"),
    pytest.param(path("/img"), get("/img/"), False, id="2.4 path: and nothing else"),
    pytest.param(path("/img/*"), get("/img/"), True, id="2.4 path: below, the slash itself"),
    pytest.param(path("/img/*"), get("/img/a/b.png"), True, id="2.4 path: below, at any depth"),
    pytest.param(path("/img/*"), get("/img"), False, id="2.4 path: below is not itself"),
    pytest.param(path("/img*"), get("/img"), True, id="2.4 path: a bare star takes itself"),
    pytest.param(path("/img*"), get("/imgs"), True, id="2.4 path: a bare star takes its neighbour"),
    pytest.param(path("/img/*"), get("/x/img/a"), False, id="2.1 path: not a search"),
    pytest.param(path("/img"), get("/IMG"), False, id="2.4 path: case matters"),
    pytest.param(path("/img"), get("/img?x=1"), True, id="2.4 path: the query is no part of it"),
    pytest.param(path("*x=1"), get("/img?x=1"), False, id="2.4 path: nor can a value reach it"),
    pytest.param(path("/search?q"), get("/search?q"), False, id="2.4 path: a question mark has no escape"),
    pytest.param(path("/search?q"), get("/searchXq"), True, id="2.4 path: it is one character"),
    pytest.param(path("*.php"), get("/a/b.php"), True, id="2.4 path: a value may begin with a star"),
    pytest.param(path("*/"), get("/a/b/"), True, id="2.4 path: any directory"),
    pytest.param(path("/a&b"), get("/a&b"), True, id="2.4 path: an ampersand is one"),
    pytest.param(path("/a&amp;b"), get("/a&b"), False, id="2.4 path: and not its XML spelling"),
    pytest.param(path("/pkg.Svc/*"), get("/pkg.Svc/Call"), True, id="2.4 path: gRPC service"),
    pytest.param(path("/pkg"), get("/pkg.Svc/Call"), False, id="2.4 path: gRPC package needs a star"),
    pytest.param(path("/a:b"), get("/a%3Ab"), True, id="14.1 path: percent-escapes are decoded"),
    pytest.param(path("/a/b"), get("/a//b"), False, id="14.1 path: slashes are kept"),
    pytest.param(path("/application/*"), get("/application//api"), True, id="14.1 path: a star takes slashes"),
    pytest.param(path("/a/*"), get("/a/%C3%A9"), True, id="2.1 path: a star takes a UTF-8 letter"),
    pytest.param(path("/a/*"), get("/a/x%0Ay"), True, id="14.1 path: the escape of a control byte stays as written"),
    pytest.param(path("/a/x%0ay"), get("/a/x%0Ay"), False, id="14.1 path: an escape that stays is compared as it is"),
    pytest.param(host("*.example.com"), at("a\x01.example.com"), False, id="1.3 control byte"),
    pytest.param(path("/a?b"), get("/a%7Fb"), False, id="1.3 nor does DEL"),
    pytest.param(path("/a", "/b/*"), get("/b/c"), True, id="1.3 paths are ORed"),
    pytest.param(path("/a/*"), get("http://h.example/a/b"), True, id="14.8 path: of an absolute-form target"),
]

METHOD_RULES = [
    pytest.param(method("GET"), RequestView.of("GET", "/"), True, id="2.6 method: exact"),
    pytest.param(method("GET"), RequestView.of("get", "/"), False, id="2.6 method: case matters"),
    pytest.param(method("GET"), RequestView.of("HEAD", "/"), False, id="2.6 method: GET is not HEAD"),
    pytest.param(method("CUSTOM-METHOD"), RequestView.of("CUSTOM-METHOD", "/"), True, id="2.6 method: custom"),
    pytest.param(method("PUT", "POST"), RequestView.of("POST", "/"), True, id="2.6 method: ORed"),
    pytest.param(method("*"), RequestView.of("GET", "/"), False, id="2.1 method: no wildcards"),
]

HEADER_RULES = [
    pytest.param(header("X-Version", "1.0.0"), sent(("x-version", "1.0.0")), True, id="2.5 header: name, any case"),
    pytest.param(header("User-Agent", "*MOBILE*"), sent(("User-Agent", "a Mobile b")), True, id="2.5 value, any case"),
    pytest.param(header("X-V", "1.0"), sent(("X-V", "1x0")), False, id="2.5 header: a dot is a dot"),
    pytest.param(header("X-V", "b"), sent(("X-V", "a"), ("X-V", "b")), True, id="2.5 header: any line will do"),
    pytest.param(header("X-V", "a"), sent(("X-V", "a"), ("x-v", "b")), True, id="2.5 header: the first line too"),
    pytest.param(header("X-V", "a, b"), sent(("X-V", "a"), ("X-V", "b")), False, id="2.5 header: lines stay apart"),
    pytest.param(header("X-V", "b"), sent(("X-V", "a, b")), False, id="2.5 header: a list is one string"),
    pytest.param(header("X-V", "*b*"), sent(("X-V", "a, b")), True, id="2.5 header: in which a star can look"),
    pytest.param(header("X-V", "*"), sent(), False, id="2.5 header: absent fails, also for a star"),
    pytest.param(header("X-V", "*"), sent(("X-V", "")), True, id="2.5 header: an empty one is there"),
    pytest.param(header("X-V", "?"), sent(("X-V", "")), False, id="2.1 header: but has no character"),
    pytest.param(header("X-V", "*"), sent(("X-V", "a\tb")), False, id="1.3 header: a tab satisfies no wildcard"),
    pytest.param(
        header("X-Forwarded-For", "10.*"), sent(("X-Forwarded-For", "10.1.2.3")), True, id="2.5 header: X-Forwarded-For"
    ),
    pytest.param(header("X-V", "a", "b"), sent(("X-V", "b")), True, id="1.3 header values are ORed"),
]

QUERY_RULES = [
    pytest.param(query(("version", "v1")), get("/?version=v1"), True, id="2.7 query: key and value"),
    pytest.param(query(("version", "v1")), get("/?VERSION=V1"), True, id="2.7 query: case does not matter"),
    pytest.param(query(("Version", "V1")), get("/?version=v1"), True, id="2.7 query: nor in the table"),
    pytest.param(query(("version", "v1")), get("/?other=v1"), False, id="2.7 query: the key counts"),
    pytest.param(query(("a", "1")), get("/?a=2&b=1"), False, id="2.7 query: key and value of one pair"),
    pytest.param(query("*example*"), get("/?q=an-example-1"), True, id="2.7 query: a value of any key"),
    pytest.param(query("example"), get("/?example=1"), False, id="2.7 query: a key is no value"),
    pytest.param(query("example"), get("/?example"), False, id="14.7 query: a bare token is no value"),
    pytest.param(query(("example", "*")), get("/?example"), True, id="14.7 query: it is a key with none"),
    pytest.param(query(("a", "1")), get("/?a=2&a=1"), True, id="2.7 query: any occurrence of a key"),
    pytest.param(query(("a", "1"), ("b", "2")), get("/?b=2"), True, id="2.7 query: pairs are ORed"),
    pytest.param(query(("k", "*")), get("/?k="), True, id="2.7 query: a star takes an empty value"),
    pytest.param(query(("k", "?")), get("/?k="), False, id="2.7 query: a question mark does not"),
    pytest.param(query(("k", "*")), get("/"), False, id="2.7 query: a star needs the key"),
    pytest.param(query("*"), get("/?"), False, id="2.7 query: an empty query has no pair"),
    pytest.param(query(("k", "v")), get("/?k=v#x"), True, id="2.7 query: it ends at the fragment"),
    pytest.param(query(("k", "v")), get("/?a=?k=v"), False, id="2.7 query: it starts once"),
    pytest.param(query(("k", "v=w")), get("/?k=v=w"), True, id="2.7 query: the first = ends the key"),
    pytest.param(query(("k", r"\*")), get("/?k=*"), True, id="2.7 query: an escaped star is a star"),
    pytest.param(query(("k", r"\*")), get("/?k=x"), False, id="2.7 query: and only a star"),
    pytest.param(query(("k", r"a\?*")), get("/?k=a?b"), True, id="2.7 query: an escaped question mark"),
    pytest.param(query(("k", r"a\?*")), get("/?k=axb"), False, id="2.7 query: and only that"),
    pytest.param(query((r"f*", "1")), get("/?filter=1"), True, id="2.7 query: a star in the key"),
    pytest.param(query((r"\*", "1")), get("/?*=1"), True, id="2.7 query: an escape in the key"),
    pytest.param(query(("k", "a b")), get("/?k=a%20b"), False, id="14.1 query: compared undecoded"),
    pytest.param(query(("k", "a%20b")), get("/?k=a%20b"), True, id="14.1 query: as received"),
    pytest.param(query(("k", "v")), get("/?a=1;k=v"), False, id="2.7 query: a semicolon splits nothing"),
]

SOURCE_RULES = [
    pytest.param(source("10.0.0.0/8"), from_("10.255.0.1"), True, id="2.8 source: inside"),
    pytest.param(source("10.0.0.0/8"), from_("11.0.0.1"), False, id="2.8 source: outside"),
    pytest.param(source("10.0.0.1/32"), from_("10.0.0.1"), True, id="2.8 source: one address"),
    pytest.param(source("0.0.0.0/0"), from_("203.0.113.9"), True, id="2.8 source: everyone on IPv4"),
    pytest.param(source("0.0.0.0/0"), from_("2001:db8::1"), False, id="2.8 source: is no one on IPv6"),
    pytest.param(source("2001:db8::/32"), from_("2001:db8::1"), True, id="2.8 source: IPv6"),
    pytest.param(source("10.0.0.0/8", "2001:db8::/32"), from_("2001:db8::1"), True, id="2.8 source: mixed, ORed"),
    pytest.param(source("192.0.2.0/24"), from_("::ffff:192.0.2.1"), True, id="2.8 source: mapped is IPv4"),
    pytest.param(source("::/0"), from_("::ffff:192.0.2.1"), False, id="2.8 source: and not IPv6"),
    pytest.param(source("::ffff:192.0.2.0/120"), from_("192.0.2.1"), True, id="2.8 source: a mapped CIDR too"),
    pytest.param(source("fe80::/10"), from_("fe80::1%eth0"), True, id="2.8 source: a zone does not count"),
    pytest.param(source("10.1.2.3/8"), from_("10.9.9.9"), True, id="14.15 source: host bits do not count"),
    pytest.param(source("0.0.0.0/0", "::/0"), from_(""), False, id="2.8 source: no address is in no network"),
    pytest.param(
        source("10.0.0.0/8"),
        from_("192.0.2.1", ("X-Forwarded-For", "10.0.0.1")),
        False,
        id="2.8 source: not the header",
    ),
]


def regex_host(*values: str) -> ConditionConfig:
    return ConditionConfig("host-header", regex_values=values)


def regex_path(*values: str) -> ConditionConfig:
    return ConditionConfig("path-pattern", regex_values=values)


def regex_header(name: str, *values: str) -> ConditionConfig:
    return ConditionConfig("http-header", regex_values=values, header_name=name)


REGEX_RULES = [
    pytest.param(regex_host(r"^(.*)\.example\.com$"), at("A.Example.com"), True, id="14.4 regex: host in lower case"),
    pytest.param(regex_host(r"^a\.example:8443$"), at("a.example:8443"), True, id="14.3 regex: host with its port"),
    pytest.param(regex_host(r"^a\.example$"), at("a.example:8443"), False, id="14.3 regex: which an anchor sees"),
    pytest.param(regex_host(r".*"), get("/"), False, id="2.3 regex: no Host satisfies nothing"),
    pytest.param(regex_path(r"^\/api\/(.*)$"), get("/api/x?y"), True, id="2.2 regex: the path only"),
    pytest.param(regex_path(r"y"), get("/api/x?y"), False, id="2.2 regex: never the query"),
    pytest.param(regex_path(r"^/API"), get("/api/x"), False, id="14.4 regex: path, case matters"),
    pytest.param(regex_path(r"v[0-9]+"), get("/api/v12/x"), True, id="14.4 regex: a search"),
    pytest.param(regex_header("X-V", ".+"), sent(("X-V", "1")), True, id="2.2 regex: header"),
    pytest.param(regex_header("X-V", "abc"), sent(("X-V", "ABC")), False, id="14.4 regex: header, as received"),
    pytest.param(regex_header("X-V", ".*"), sent(), False, id="2.5 regex: an absent header fails"),
    pytest.param(regex_header("X-V", "^b$"), sent(("X-V", "a"), ("X-V", "b")), True, id="2.5 regex: any line"),
]


@pytest.mark.parametrize(
    ("config", "view", "holds"),
    [*HOST_RULES, *PATH_RULES, *METHOD_RULES, *HEADER_RULES, *QUERY_RULES, *SOURCE_RULES, *REGEX_RULES],
)
def test_a_condition(config: ConditionConfig, view: RequestView, holds: bool) -> None:
    assert holds is condition(config).matches(view)


@pytest.mark.parametrize(
    ("config", "view", "saw"),
    [
        pytest.param(host("b.example"), at("A.example:8080"), "a.example", id="the host without its port"),
        pytest.param(regex_host("b"), at("A.example:8080"), "a.example:8080", id="a regex sees the port"),
        pytest.param(host("b.example"), get("/"), "(absent)", id="no host"),
        pytest.param(path("/b"), get("/%C3%A9?x=1"), "/é", id="the decoded path"),
        pytest.param(path("/b"), get("/%FF"), r"/\xff", id="bytes that are no text"),
        pytest.param(method("GET"), RequestView.of("PUT", "/"), "PUT", id="the method"),
        pytest.param(header("X-V", "c"), sent(("X-V", "a"), ("X-V", "b")), "a, b", id="every line of the header"),
        pytest.param(header("X-V", "c"), sent(), "(absent)", id="no header"),
        pytest.param(query(("a", "2")), get("/?A=1&b=%20"), "A=1&b=%20", id="the raw query"),
        pytest.param(source("10.0.0.0/8"), from_("192.0.2.1"), "192.0.2.1", id="the peer"),
    ],
)
def test_what_a_condition_saw(config: ConditionConfig, view: RequestView, saw: str) -> None:
    assert saw == condition(config).saw(view)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param(source("10.0.0.300/8"), "'10.0.0.300/8' is not a CIDR block", id="no CIDR"),
        pytest.param(regex_path("(?=x)"), "regex '(?=x)' cannot be used", id="no RE2"),
        pytest.param(ConditionConfig("http-header", ("x",)), "needs the name of a header", id="no header name"),
    ],
)
def test_a_value_that_cannot_be_compiled_is_refused(config: ConditionConfig, words: str) -> None:
    with pytest.raises(PatternError) as refused:
        condition(config)

    assert words in str(refused.value)


def test_what_is_remembered_of_peers_is_bounded() -> None:
    """Many clients cannot make the gateway remember them all."""
    for number in range(6_000):
        parse_peer(f"2001:db8::{number:x}")

    info = parse_peer.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize
