"""Rule transforms (alb.md 4): what a rewritten request looks like, and what none can be made to look like."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.model import (
    ActionConfig,
    ConditionConfig,
    ForwardConfig,
    ListenerConfig,
    RedirectConfig,
    RuleConfig,
    TransformConfig,
    TransformType,
)
from proxy.config.problem import ConfigError, Place
from proxy.errors import TransformError
from proxy.rules.compile import compile_table
from proxy.rules.explain import explain
from proxy.rules.request import RequestView
from proxy.rules.table import Table
from proxy.rules.transforms import TRANSFORMS, rewritten_host, rewritten_target, transformed

TO_MONOLITH = ForwardConfig((("monolith", 1),))


def rewrite(kind: TransformType, regex: str, replace: str, view: RequestView) -> RequestView:
    return TRANSFORMS[kind].compile(TransformConfig(kind, regex, replace)).apply(view)


def target_after(regex: str, replace: str, target: str) -> str:
    return rewrite("url-rewrite", regex, replace, RequestView.of("GET", target)).target.decode("latin-1")


def host_after(regex: str, replace: str, *hosts: str) -> list[bytes]:
    view = RequestView.of("GET", "/", [("Host", host) for host in hosts])
    return rewrite("host-header-rewrite", regex, replace, view).header_values(b"host")


def listener(*transforms: TransformConfig, action: ActionConfig = TO_MONOLITH, port: int = 80) -> ListenerConfig:
    api = ConditionConfig("path-pattern", ("/api/*",))
    return ListenerConfig("web", port, TO_MONOLITH, (RuleConfig("api", 10, (api,), action, transforms),))


@pytest.mark.parametrize(
    ("regex", "replace", "target", "expected"),
    [
        pytest.param("(^/api(/)?)", "/v2$2", "/api/v1/users", "/v2/v1/users", id="4.2 the unmatched tail is kept"),
        pytest.param(
            "^/dp/([A-Za-z0-9]+)/?$",
            "/product.php?id=$1",
            "/dp/B08N5/",
            "/product.php?id=B08N5",
            id="4.2 a query is made",
        ),
        pytest.param(
            "^/dp/([A-Za-z0-9]+)/?$",
            "/product.php?id=$1",
            "/dp/B08N5?r=1",
            "/dp/B08N5?r=1",
            id="4.2 $ is after the query",
        ),
        pytest.param("^([^?]*)", "/new", "/old/path?k=v&k=w", "/new?k=v&k=w", id="4.2 whole path, query kept"),
        pytest.param("^/svc", "", "/svc/2024-01-15T10%3A30%3A00", "/2024-01-15T10:30:00", id="4.3 the path is decoded"),
        pytest.param("^/svc", "", "/other/T10%3A30%3a00?%3A", "/other/T10%3A30%3a00?%3A", id="4.3 no match, no byte"),
        pytest.param("a", "b", "/aa/a?a", "/ba/a?a", id="14.12 the first match only"),
        pytest.param("k=v", "k=w", "/a?k=v", "/a?k=w", id="the query is in reach"),
        pytest.param("^/a$", "/b", "/a?", "/a?", id="an empty query still has its ?"),
        pytest.param("^/a", "/b", "/a?", "/b?", id="and keeps it"),
        pytest.param("", "/x", "/a", "/x/a", id="an empty match is at the front"),
        pytest.param("/(a)|/(b)", "/[$1$2]", "/b/c", "/[b]/c", id="a group that took no part is empty"),
        pytest.param("/(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", "/$10", "/abcdefghij", "/j", id="$10 is group ten"),
        pytest.param("^/a", "/$", "/a", "/$", id="a lone $ stands for itself"),
        pytest.param("^/(a)", "/$$1$x", "/a", "/$a$x", id="so $$1 is a $ and group one"),
        pytest.param(r"^/a", r"/\1", "/a", r"/\1", id="a backslash refers to nothing"),
        pytest.param("(?P<id>[0-9]+)", "<$1>", "/a/42", "/a/<42>", id="a named group has a number too"),
        pytest.param("(?i)^/API", "/v2", "/api/x", "/v2/x", id="flags"),
        pytest.param("^/API", "/v2", "/api/x", "/api/x", id="case counts"),
        pytest.param(
            "^/a", "/b", "http://example.com/a?x", "http://example.com/b?x", id="absolute-form: the path alone"
        ),
        pytest.param(
            "example", "/b", "http://example.com/a", "http://example.com/a", id="the authority is out of reach"
        ),
        pytest.param("^/", "/b", "http://example.com?x", "http://example.com/b?x", id="absolute-form without a path"),
        pytest.param("^/a", "/b", "/a?x#y", "/b?x", id="a fragment is dropped"),
        pytest.param("^/b", "/c", "/a?x#y", "/a?x#y", id="unless nothing matched"),
        pytest.param("y", "z", "/a#y?y", "/a#y?y", id="a fragment is not searched"),
        pytest.param(".*", "/b", "*", "*", id="OPTIONS * has no path"),
        pytest.param("^/api", "", "/api//x", "//x", id="slashes are kept"),
        pytest.param("^/a:b", "/x", "/a%3Ab", "/x", id="the regex sees what is decoded"),
        pytest.param("^/a%3Ab", "/x", "/a%3Ab", "/a%3Ab", id="and not its escape"),
        pytest.param("^/a%20b", "/x", "/a%20b", "/x", id="and what is not decoded as it was sent"),
        pytest.param("^/a b", "/x", "/a%20b", "/a%20b", id="a blank never comes"),
        pytest.param(r"^/[^?]*\?x$", "/x", "/a%3Fb?x", "/x", id="the first ? is that of the query"),
        pytest.param("^/a", "/%7e%", "/a", "/%7e%", id="a replacement is taken as it is written"),
    ],
)
def test_url_rewrite(regex: str, replace: str, target: str, expected: str) -> None:
    assert target_after(regex, replace, target) == expected


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        pytest.param("%41%7A%30%2D%2e%5F%7E", "Az0-._~", id="unreserved"),
        pytest.param("%21%24%26%27%28%29%2A%2b%2C%3b%3D", "!$&'()*+,;=", id="sub-delims"),
        pytest.param("%3A%40", ":@", id="colon and at"),
        pytest.param("a%2Fb%2f%2E%2E", "a/b/..", id="slash and dots"),
        pytest.param("a%20b", "a%20b", id="space stays"),
        pytest.param("a%0D%0aX-Evil:%201", "a%0D%0aX-Evil:%201", id="a line end stays"),
        pytest.param("%00%7F", "%00%7F", id="control bytes stay"),
        pytest.param("a%3Fb%23c", "a%3Fb%23c", id="question mark and hash stay"),
        pytest.param("a%252Fb", "a%252Fb", id="percent stays, nothing is decoded twice"),
        pytest.param("caf%C3%A9", "caf%C3%A9", id="beyond ASCII stays"),
        pytest.param(
            "%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D", "%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D", id="not for a path stays"
        ),
        pytest.param('"<>[\\]^`{|}', '"<>[\\]^`{|}', id="what came raw goes raw"),
        pytest.param("100%", "100%25", id="a percent sign alone becomes an escape"),
        pytest.param("%%32e%zz", "%252e%25zz", id="and cannot begin one with what is decoded behind it"),
    ],
)
def test_what_is_decoded_in_a_rewritten_path(sent: str, arrives: str) -> None:
    """alb.md 4.3, for the bytes that a path can hold raw (RFC 3986 3.3); the query stays as it was sent."""
    assert target_after("^/api", "/v2", f"/api/{sent}?{sent}") == f"/v2/{arrives}?{sent}"


@pytest.mark.parametrize(
    ("regex", "replace", "hosts", "expected"),
    [
        pytest.param(
            "^mywebsite-(.+).com$",
            "internal.dev.$1.myweb.com",
            ["mywebsite-shop.com"],
            [b"internal.dev.shop.myweb.com"],
            id="4.2 the documents' example",
        ),
        pytest.param(".*", "new.example.com", ["a.example.com"], [b"new.example.com"], id="4.2 the whole host, once"),
        pytest.param("^A", "b", ["A.example.com"], ["A.example.com"], id="no match, no byte"),
        pytest.param("^a", "B", ["A.Example.com"], [b"B.example.com"], id="6.3 the regex sees lower case"),
        pytest.param("^a", "b", ["a.com:8080"], [b"b.com:8080"], id="14.3 the port is part of the value"),
        pytest.param("com$", "org", ["a.com:8080"], ["a.com:8080"], id="and $ is behind it"),
        pytest.param(":8080$", "", ["a.com:8080"], [b"a.com"], id="so it can be taken off"),
        pytest.param("a", "b", ["a.com", "c.com"], [b"b.com"], id="1.3 the first Host, which then is the only one"),
        pytest.param("a", "b", ["c.com", "a.com"], ["c.com", "a.com"], id="1.3 no other is looked at"),
        pytest.param(".*", "[::1]:80", ["a.com"], [b"[::1]:80"], id="an address"),
        pytest.param(".*", "a.com", [""], [b"a.com"], id="an empty Host is one"),
        pytest.param(".*", "a.com", [], [], id="no Host, nothing to rewrite"),
    ],
)
def test_host_header_rewrite(regex: str, replace: str, hosts: list[str], expected: list[bytes | str]) -> None:
    assert host_after(regex, replace, *hosts) == [one if isinstance(one, bytes) else one.encode() for one in expected]


@pytest.mark.parametrize(
    ("kind", "regex", "replace", "headers", "target"),
    [
        pytest.param("url-rewrite", "^/api", "", [], "/api", id="nothing is left"),
        pytest.param("url-rewrite", "^/api/", "", [], "/api/x", id="no slash at the front"),
        pytest.param("url-rewrite", "^/api", "", [], "/api?x", id="only a query is left"),
        pytest.param("url-rewrite", "^/api/", "http://evil/", [], "/api/x", id="a URL instead of a path"),
        pytest.param("url-rewrite", "^/a", "/b", [], "/a b", id="a blank that no client can send"),
        pytest.param("url-rewrite", "^/a", "/" + "b" * 1023, [], "/a" + "c" * 15_362, id="longer than a request line"),
        pytest.param("url-rewrite", "^(.*)$", "$1" * 512, [], "/" + "a" * 16_000, id="a group many times over"),
        pytest.param("host-header-rewrite", ".*", "", [("Host", "a.com")], "/", id="an empty Host"),
        pytest.param("host-header-rewrite", "a", "b", [("Host", "a b")], "/", id="a Host with a blank"),
        pytest.param("host-header-rewrite", "a", "b", [("Host", "a/b")], "/", id="a Host with a slash"),
        pytest.param("host-header-rewrite", "a", "b", [("Host", "a@b")], "/", id="a Host with a user"),
        pytest.param("host-header-rewrite", "a", "b:c", [("Host", "a")], "/", id="a port that is none"),
    ],
)
def test_a_failing_transform(
    kind: TransformType, regex: str, replace: str, headers: list[tuple[str, str]], target: str
) -> None:
    """alb.md 4.2, 8: a match that cannot be carried out is a 500."""
    with pytest.raises(TransformError) as caught:
        rewrite(kind, regex, replace, RequestView.of("GET", target, headers))

    assert caught.value.status == 500


def test_a_target_of_just_the_longest_length_is_good() -> None:
    assert len(target_after("^/a", "/" + "b" * 1023, "/a" + "c" * 15_360)) == 16 * 1024


def test_the_view_that_the_rules_saw_stays() -> None:
    headers = [("hOST", "a.com"), ("X-A", "1")]
    view = RequestView.of("PUT", "/a?x", headers, peer="10.0.0.9", scheme="https", port=444)
    transforms = (
        TRANSFORMS["host-header-rewrite"].compile(TransformConfig("host-header-rewrite", "^a", "b")),
        TRANSFORMS["url-rewrite"].compile(TransformConfig("url-rewrite", "^/a", "/b")),
    )

    after = transformed(view, transforms)

    assert (view.target, view.host, view.headers) == (b"/a?x", b"a.com", [(b"hOST", b"a.com"), (b"X-A", b"1")])
    assert view.fields == {b"host": b"a.com", b"x-a": b"1"}
    assert (after.target, after.path, after.query, after.host) == (b"/b?x", b"/b", b"x", b"b.com")
    assert after.headers == [(b"Host", b"b.com"), (b"X-A", b"1")]
    assert (after.method, after.peer, after.scheme, after.port) == (b"PUT", "10.0.0.9", "https", 444)
    assert (rewritten_host(view, after), rewritten_target(view, after)) == (b"b.com", b"/b?x")
    assert transformed(after, transforms) is after
    assert (rewritten_host(after, after), rewritten_target(after, after)) == (None, None)


# In a table


@pytest.mark.parametrize(
    ("kind", "regex", "replace", "says"),
    [
        pytest.param("url-rewrite", "(a", "/b", "missing", id="a regex that is none"),
        pytest.param("url-rewrite", "(?=a)", "/b", "invalid perl operator", id="lookahead"),
        pytest.param("url-rewrite", r"(a)\1", "/b", "invalid escape", id="a backreference"),
        pytest.param("url-rewrite", "^/a", "/$1", "no groups", id="a group that is not there"),
        pytest.param("url-rewrite", "^/(a)", "/$2", "1 group", id="the second of one"),
        pytest.param("url-rewrite", "^/(a)(b)", "/$10", "2 groups", id="$10 is never $1 and a 0"),
        pytest.param("url-rewrite", "^/(a)", "/$0", "count from $1", id="$0"),
        pytest.param("url-rewrite", "^/a", "/ b", "percent-encode", id="a blank in a path"),
        pytest.param("url-rewrite", "^/a", "/\r\nX: 1", "percent-encode", id="a line end in a path"),
        pytest.param("url-rewrite", "^/a", "/#b", "percent-encode", id="a fragment"),
        pytest.param("url-rewrite", "^/a", "/caf\u00e9", "percent-encode", id="a path beyond ASCII"),
        pytest.param("host-header-rewrite", "^a", "b/c", "no Host can hold", id="a path in a host"),
        pytest.param("host-header-rewrite", "^a", "b\r\nX: 1", "no Host can hold", id="a line end in a host"),
    ],
)
def test_a_transform_that_cannot_be_compiled(kind: TransformType, regex: str, replace: str, says: str) -> None:
    place = Place(7, 3, "rules[0].transforms[0]")

    with pytest.raises(ConfigError) as caught:
        compile_table(listener(TransformConfig(kind, regex, replace, place)))

    (problem,) = caught.value.problems
    assert (problem.severity, problem.code, problem.place) == ("error", "invalid-value", place)
    assert problem.message.startswith(f"{kind}: ")
    assert says in problem.message


def test_most_rules_have_none() -> None:
    table: Table = compile_table(listener())

    assert (table.rules[0].transforms, table.default.transforms) == ((), ())


def explained(made: ListenerConfig, target: str, host: str = "api.example.com") -> dict[str, Any]:
    view = RequestView.of("GET", target, [("Host", host)], port=made.port)
    return explain(made, compile_table(made), view, forwarded_host=host.encode() + b":8080")


V2 = TransformConfig("url-rewrite", "(^/api(/)?)", "/v2$2")
INTERNAL = TransformConfig("host-header-rewrite", "^api", "internal")


def test_explain_shows_what_is_forwarded() -> None:
    assert explained(listener(V2), "/api/v1/users?a=1")["forwarded"] == {
        "host": "api.example.com:8080",
        "target": "/v2/v1/users?a=1",
    }
    assert explained(listener(INTERNAL, V2), "/api/v1/users")["forwarded"] == {
        "host": "internal.example.com",
        "target": "/v2/v1/users",
    }
    assert explained(listener(INTERNAL, V2), "/other")["forwarded"] == {
        "host": "api.example.com:8080",
        "target": "/other",
    }


def test_explain_shows_the_redirect_of_the_transformed_request() -> None:
    """alb.md 4.4, as asserted on a live load balancer."""
    to_https = RedirectConfig(302, protocol="HTTPS")

    document = explained(listener(V2, action=to_https), "/api/v1/users")
    both = explained(listener(V2, INTERNAL, action=to_https), "/api/v1/users?a=1")

    assert document["redirect"] == {"status": 302, "location": "https://api.example.com:80/v2/v1/users"}
    assert both["redirect"]["location"] == "https://internal.example.com:80/v2/v1/users?a=1"


def test_matching_does_not_begin_again() -> None:
    """alb.md 1.3: what the rewritten path would match has no say."""
    api, v2 = (ConditionConfig("path-pattern", (pattern,)) for pattern in ("/api/*", "/v2/*"))
    rules = (
        RuleConfig("v2", 1, (v2,), ForwardConfig((("v2", 1),))),
        RuleConfig("api", 2, (api,), TO_MONOLITH, (V2,)),
        RuleConfig("later", 3, (v2,), ForwardConfig((("later", 1),))),
    )

    document = explained(ListenerConfig("web", 80, TO_MONOLITH, rules), "/api/x")

    assert (document["rule"]["name"], document["forwarded"]["target"]) == ("api", "/v2/x")


def test_explain_fails_as_the_request_would() -> None:
    with pytest.raises(TransformError):
        explained(listener(TransformConfig("url-rewrite", "^/api/", "")), "/api/x")


# Whatever is sent

REGEXES = st.lists(
    st.sampled_from(["a", "b", "/", "(a)", "(/|b)", "(a|(b))", "[ab]", "a*", "(b)?", "a+", "^", "$", "%", r"\?"]),
    min_size=1,
    max_size=6,
).map("".join)
REPLACEMENTS = st.lists(st.sampled_from(["a", "/", "?", "$1", "$2", "$$", "$", "%41"]), max_size=5).map("".join)
TARGETS = st.text("ab/?=%4120:3d", max_size=14).map("/".__add__)
RAW_TARGETS = st.binary(max_size=24).map(lambda raw: b"/" + re.sub(rb"[\x00-\x20\x7f]", b"%", raw))


def oracle(regex: str, replace: str, subject: str) -> str:
    """The definition with Python's own regexes, which backtrack."""
    match = re.search(regex, subject)
    if match is None:
        return subject
    new = re.sub(r"\$(\d+)", lambda reference: match[int(reference[1])] or "", replace)
    return subject[: match.start()] + new + subject[match.end() :]


@given(REGEXES, REPLACEMENTS, st.text("ab/?=&", max_size=14).map("/".__add__))
@example("(a|(b))", "$2", "/ab")
@example("$", "/", "/a")
def test_a_rewrite_means_what_the_oracle_says(regex: str, replace: str, target: str) -> None:
    groups = re.compile(regex).groups
    if any(int(number) > groups for number in re.findall(r"\$(\d+)", replace)):
        with pytest.raises(ConfigError):
            compile_table(listener(TransformConfig("url-rewrite", regex, replace)))
        return

    expected = oracle(regex, replace, target)

    if expected.startswith("/"):
        assert target_after(regex, replace, target) == expected
    else:
        with pytest.raises(TransformError):
            target_after(regex, replace, target)


@given(TARGETS | RAW_TARGETS.map(lambda raw: raw.decode("latin-1")))
@example("/%%32e%%32e/x")
@example("/%25%32%45?%2541")
def test_decoding_a_rewritten_path_gives_what_decoding_the_original_gives(target: str) -> None:
    """No escape is decoded twice, whatever stands around it; the query keeps its bytes."""
    path, mark, query = target.partition("#")[0].partition("?")

    new_path, new_mark, new_query = target_after("^", "", target).partition("?")

    assert unquote_to_bytes(new_path.encode("latin-1")) == unquote_to_bytes(path.encode("latin-1"))
    assert (new_mark, new_query) == (mark, query)


@given(REGEXES, REPLACEMENTS, RAW_TARGETS, st.binary(max_size=12))
def test_no_request_can_end_a_line(regex: str, replace: str, target: bytes, host: bytes) -> None:
    groups = re.compile(regex).groups
    replace = re.sub(r"\$(\d+)", lambda found: found[0] if int(found[1]) <= groups else "", replace)
    view = RequestView(b"GET", target, [(b"Host", host)], {b"host": host})
    kinds: dict[TransformType, str] = {
        "url-rewrite": replace,
        "host-header-rewrite": re.sub("[/?]", "", replace),
    }
    for kind, replacement in kinds.items():
        try:
            after = rewrite(kind, regex, replacement, view)
        except TransformError:
            continue
        new_target, new_host = rewritten_target(view, after), rewritten_host(view, after)
        assert new_target is None or re.fullmatch(rb"/[^\x00-\x20\x7f#]*", new_target)
        assert new_host is None or re.fullmatch(rb"[^\x00-\x20\x7f-\xff/?#@]+", new_host)


def test_a_regex_that_makes_others_backtrack_answers() -> None:
    assert target_after("^/(a|a|aa)*(a|aa)*$", "/x", "/" + "a" * 16_000 + "b") == "/" + "a" * 16_000 + "b"
    assert target_after("^/((a*)*)*b", "/x$1", "/" + "a" * 16_000 + "b") == "/x" + "a" * 16_000
