"""The rule book of the three routing actions (alb.md 3)."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.model import FixedResponseConfig, ForwardConfig, RedirectConfig
from proxy.errors import BadRequestError, NoTargetError, RedirectTooLongError
from proxy.http1.pages import page
from proxy.rules.actions import FixedResponse, Forward, Redirect, Route
from proxy.rules.request import RequestView

VIEW = RequestView.of("GET", "/docs/a%2Fb/?k=v", [("Host", "Example.com:8080")], port=8080)


def never() -> float:
    raise AssertionError("nothing had to be drawn")


def forward(**weights: int) -> Forward:
    return Forward.compile(ForwardConfig(tuple(weights.items())))


def test_one_group_takes_everything_without_a_draw() -> None:
    action = forward(monolith=1)

    assert Route("monolith") == action.route
    assert action.route is action.decide(VIEW, never)


def test_groups_of_weight_0_leave_no_choice() -> None:
    """alb.md 3.1: a group at 0 gets no new traffic."""
    action = forward(old=0, new=5, other=0)

    assert Route("new") == action.route
    assert action.route is action.decide(VIEW, never)


@pytest.mark.parametrize("weights", [{"a": 0}, {"a": 0, "b": 0}], ids=["one group", "two groups"])
def test_no_group_can_be_chosen_when_all_weights_are_0(weights: dict[str, int]) -> None:
    """alb.md 14.6."""
    action = forward(**weights)

    assert action.route is None
    with pytest.raises(NoTargetError):
        action.decide(VIEW, never)


@pytest.mark.parametrize(
    ("draw", "group"),
    [
        pytest.param(0.0, "a", id="the first group begins at 0"),
        pytest.param(0.0999, "a", id="and ends before its share"),
        pytest.param(0.1, "c", id="the next begins at the share, a group of weight 0 in between gets nothing"),
        pytest.param(1 - 2**-53, "c", id="the last group ends at the largest number below 1"),
    ],
)
def test_where_the_shares_begin_and_end(draw: float, group: str) -> None:
    assert Route(group) == forward(a=1, b=0, c=9).decide(VIEW, lambda: draw)


@given(st.lists(st.integers(0, 999), min_size=2, max_size=5).filter(lambda weights: sum(w > 0 for w in weights) > 1))
def test_the_largest_draw_is_never_out_of_range(weights: list[int]) -> None:
    action = Forward.compile(ForwardConfig(tuple((str(i), weight) for i, weight in enumerate(weights))))
    last = max(i for i, weight in enumerate(weights) if weight)

    assert Route(str(last)) == action.decide(VIEW, lambda: 1 - 2**-53)


def test_shares_follow_the_weights() -> None:
    """alb.md 3.1: share = weight / sum of weights; within five standard deviations over 20,000 draws."""
    action, chance = forward(a=90, b=9, c=1), random.Random(7)

    counts = Counter(action.decide(VIEW, chance.random).target_group for _ in range(20_000))

    for group, share in {"a": 0.9, "b": 0.09, "c": 0.01}.items():
        deviation = (20_000 * share * (1 - share)) ** 0.5
        assert abs(counts[group] - 20_000 * share) < 5 * deviation


def test_nothing_is_made_for_a_request() -> None:
    action = forward(a=1, b=1)

    assert action.decide(VIEW, lambda: 0.0) is action.decide(VIEW, lambda: 0.1)


def location(view: RequestView = VIEW, **fields: str) -> str:
    return Redirect.compile(RedirectConfig(302, **fields)).location(view).decode("ascii")


def at(target: str, host: str = "example.com") -> RequestView:
    return RequestView.of("GET", target, [("Host", host)])


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        pytest.param(location(protocol="HTTPS"), "https://example.com:8080/docs/a%2Fb/?k=v", id="what stays is kept"),
        pytest.param(location(protocol="HTTPS", port="443"), "https://example.com:443/docs/a%2Fb/?k=v", id="443 too"),
        pytest.param(location(at("/x"), port="80", path="/new-path"), "http://example.com:80/new-path", id="80 too"),
        pytest.param(location(host="m.example.org"), "http://m.example.org:8080/docs/a%2Fb/?k=v", id="another host"),
        pytest.param(
            location(at("/docs/"), path="/#{path}index.html"), "http://example.com:80/docs/index.html", id="slash kept"
        ),
        pytest.param(location(at("//evil.org/"), path="/#{path}"), "http://example.com:80//evil.org/", id="one slash"),
        pytest.param(location(at("/"), path="/v2/#{path}"), "http://example.com:80/v2/", id="the root is empty"),
        pytest.param(location(at("/a")), "http://example.com:80/a", id="an empty query leaves no question mark"),
        pytest.param(location(at("/a?")), "http://example.com:80/a", id="nor does a bare one"),
        pytest.param(location(query=""), "http://example.com:8080/docs/a%2Fb/", id="a query can be dropped"),
        pytest.param(
            location(path="/#{host}/#{port}/x", query="p=#{protocol}&h=#{host}&n=#{port}&q=#{path}&#{query}"),
            "http://example.com:8080/example.com/8080/x?p=http&h=example.com&n=8080&q=docs/a%2Fb/&k=v",
            id="all placeholders",
        ),
        pytest.param(location(path="/#{query}x#{no}"), "http://example.com:8080/k=vx#{no}?k=v", id="others are text"),
        pytest.param(location(at("http://h.example/a?b")), "http://example.com:80/a?b", id="an absolute-form target"),
        pytest.param(location(at("/#{host}")), "http://example.com:80/", id="a fragment is no part of the path"),
        pytest.param(location(at("/a?#{host}")), "http://example.com:80/a", id="nor of the query"),
        pytest.param(location(at("/a", "[2001:DB8::1]:8443")), "http://[2001:db8::1]:80/a", id="an IPv6 host"),
    ],
)
def test_the_location_of_a_redirect(written: str, wanted: str) -> None:
    """alb.md 3.2: the port is always written, and nothing is decoded."""
    assert wanted == written


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(None, id="no Host"),
        pytest.param("", id="an empty Host"),
        pytest.param("evil.org/path", id="a path in Host"),
        pytest.param("user@evil.org", id="user information in Host"),
        pytest.param("evil.org?x", id="a query in Host"),
        pytest.param("a\r\nSet-Cookie: x", id="a line end in Host"),
    ],
)
def test_the_own_host_must_be_one(host: str | None) -> None:
    view = RequestView.of("GET", "/", [] if host is None else [("Host", host)])

    with pytest.raises(BadRequestError):
        location(view, protocol="HTTPS")
    assert location(view, host="a.example", path="/x") == "http://a.example:80/x"


def test_a_location_of_8_k_is_the_longest() -> None:
    """alb.md 3.2: a longer one is 507."""
    room = 8192 - len("http://example.com:80/")

    assert len(location(at("/" + "a" * room))) == 8192
    with pytest.raises(RedirectTooLongError):
        location(at("/" + "a" * (room + 1)))


@given(st.binary(max_size=40), st.binary(max_size=10))
def test_no_request_can_end_the_line_of_the_location(target: bytes, host: bytes) -> None:
    view = RequestView(b"GET", b"/" + target, [(b"Host", host)], {b"host": host})
    try:
        written = Redirect.compile(RedirectConfig(301, protocol="HTTPS")).location(view)
    except BadRequestError:
        return

    assert all(0x21 <= byte <= 0x7E for byte in written)


def test_a_redirect_carries_the_small_page() -> None:
    """alb.md 14.11."""
    reply = Redirect.compile(RedirectConfig(301, host="a.example", path="/x", query="")).decide(VIEW, never)

    assert (301, page(301)) == (reply.status, reply.body)
    assert reply.headers == ((b"Location", b"http://a.example:8080/x"), (b"Content-Type", b"text/html"))


@pytest.mark.parametrize(
    ("config", "content_type", "body"),
    [
        pytest.param(FixedResponseConfig(403, "text/html", "<p>"), b"text/html", b"<p>", id="as written"),
        pytest.param(FixedResponseConfig(403, None, "no"), b"text/plain", b"no", id="14.17 the type has a default"),
        pytest.param(FixedResponseConfig(503), b"text/plain", b"", id="the body may be empty"),
        pytest.param(
            FixedResponseConfig(503, None, "später"),
            b"text/plain; charset=utf-8",
            "später".encode(),
            id="text beyond ASCII says its charset",
        ),
        pytest.param(
            FixedResponseConfig(503, "application/json", '"ä"'),
            b"application/json",
            '"ä"'.encode(),
            id="JSON is UTF-8 by itself",
        ),
        pytest.param(FixedResponseConfig(204, None, "x"), b"text/plain", b"", id="a 204 has no body"),
        pytest.param(FixedResponseConfig(200, None, "#{host}"), b"text/plain", b"#{host}", id="3.3 no placeholders"),
    ],
)
def test_a_fixed_response(config: FixedResponseConfig, content_type: bytes, body: bytes) -> None:
    action = FixedResponse.compile(config)
    reply = action.decide(VIEW, never)

    assert action.route is None
    assert (config.status_code, ((b"Content-Type", content_type),), body) == (reply.status, reply.headers, reply.body)
