"""What the cookies of stickiness say, and for how long: the pure half (alb.md 3.1, 5.5)."""

from __future__ import annotations

import re

import pytest

from proxy.config.model import StickinessConfig
from proxy.http1.sealed import Sealer
from proxy.rules.stickiness import GroupStickiness
from proxy.targets.stickiness import NOTHING, AppCookie, LbCookie, TargetStickiness, stickiness_of

NOW = 1_800_000_000.0
SEALER = Sealer(b"a key")
A, B = "http://10.0.0.1:80", "http://10.0.0.2:80"
LOGIN = [(b"Set-Cookie", b"sid=s1; Path=/")]


def cookie_line(set_cookie_lines: bytes, *more: bytes) -> list[bytes]:
    """The Cookie line of a client that got these Set-Cookie lines."""
    pairs = re.findall(rb"Set-Cookie: ([^;]+)", set_cookie_lines)
    return [b"; ".join([*more, *pairs])]


def lines(stickiness: TargetStickiness, target: str, headers: list[tuple[bytes, bytes]], now: float = NOW) -> bytes:
    return stickiness.lines(NOTHING, target, headers, SEALER, now, secure=False)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (None, type(None)),
        (StickinessConfig("lb_cookie", 60), LbCookie),
        (StickinessConfig("app_cookie", 60, "sid"), AppCookie),
    ],
    ids=["off", "lb_cookie", "app_cookie"],
)
def test_the_kinds(config: StickinessConfig | None, kind: type) -> None:
    assert type(stickiness_of("users", config)) is kind


@pytest.mark.parametrize(
    ("later", "target"),
    [(0, A), (59, A), (60, ""), (3600, "")],
    ids=["at once", "just in time", "too late", "long after"],
)
@pytest.mark.parametrize("kind", ["lb_cookie", "app_cookie"])
def test_the_duration_counts_from_the_response(kind: str, later: float, target: str) -> None:
    stickiness = LbCookie("users", 60) if kind == "lb_cookie" else AppCookie("users", 60, "sid")
    cookies = cookie_line(lines(stickiness, A, LOGIN), b"sid=s1")
    assert stickiness.recall(cookies, SEALER, NOW + later).target == target


@pytest.mark.parametrize("kind", ["lb_cookie", "app_cookie"])
def test_each_response_begins_the_duration_anew(kind: str) -> None:
    stickiness = LbCookie("users", 60) if kind == "lb_cookie" else AppCookie("users", 60, "sid")
    cookies = cookie_line(lines(stickiness, A, LOGIN), b"sid=s1")
    for step in range(1, 6):
        now = NOW + 50 * step
        recalled = stickiness.recall(cookies, SEALER, now)
        assert recalled.target == A
        cookies = cookie_line(stickiness.lines(recalled, A, [], SEALER, now, secure=False), b"sid=s1")


@pytest.mark.parametrize("kind", ["lb_cookie", "app_cookie"])
def test_a_cookie_of_one_group_is_none_in_another(kind: str) -> None:
    one, other = (
        (LbCookie("users", 60), LbCookie("orders", 60))
        if kind == "lb_cookie"
        else (AppCookie("users", 60, "sid"), AppCookie("orders", 60, "sid"))
    )
    cookies = cookie_line(lines(one, A, LOGIN), b"sid=s1")
    assert one.recall(cookies, SEALER, NOW).target == A
    assert other.recall(cookies, SEALER, NOW).target == ""


def test_no_kind_takes_the_cookie_of_another_kind() -> None:
    lb, app, group = LbCookie("users", 60), AppCookie("users", 60, "sid"), GroupStickiness(["users"], 60)
    values = {
        "AWSALB": lines(lb, A, []),
        "AWSALBAPP-0": lines(app, A, LOGIN),
        "AWSALBTG": group.lines("users", SEALER, NOW, secure=False),
    }
    for origin, set_cookie in values.items():
        value = cookie_line(set_cookie)[0].partition(b"=")[2].partition(b";")[0]
        renamed = [b"sid=s1; AWSALB=%s; AWSALBAPP-0=%s; AWSALBTG=%s" % (value, value, value)]
        accepted = {
            "AWSALB": bool(lb.recall(renamed, SEALER, NOW).target),
            "AWSALBAPP-0": bool(app.recall(renamed, SEALER, NOW).target),
            "AWSALBTG": bool(group.recall(renamed, SEALER, NOW)),
        }
        assert accepted == {name: name == origin for name in values}


def test_one_good_value_among_several_is_found() -> None:
    stickiness = LbCookie("users", 60)
    good = cookie_line(lines(stickiness, B, []))[0]
    assert stickiness.recall([b"AWSALB=old; AWSALB=older; " + good], SEALER, NOW).target == B


def test_a_value_longer_than_any_that_is_made_is_not_looked_at() -> None:
    text = b"x" * 600
    cookie = b"AWSALB=" + SEALER.seal(b"AWSALB/users", text, valid_until=NOW + 60)
    assert LbCookie("users", 60).recall([cookie], SEALER, NOW) == NOTHING
    cookie = b"AWSALBTG=" + SEALER.seal(b"AWSALBTG", text, valid_until=NOW + 60)
    assert GroupStickiness([text.decode()], 60).recall([cookie], SEALER, NOW) is None


@pytest.mark.parametrize(
    ("secure", "twin"),
    [(False, b"Path=/; SameSite=None\r\n"), (True, b"Path=/; SameSite=None; Secure\r\n")],
    ids=["HTTP", "HTTPS"],
)
def test_the_cross_site_twin_is_secure_on_https(secure: bool, twin: bytes) -> None:
    for written in (
        LbCookie("users", 60).lines(NOTHING, A, [], SEALER, NOW, secure=secure),
        GroupStickiness(["users"], 60).lines("users", SEALER, NOW, secure=secure),
    ):
        plain, cors, end = written.split(b"\r\n")
        assert plain.endswith(b"; Path=/")
        assert cors + b"\r\n" == cors.partition(b"Path=/")[0] + twin
        assert end == b""


# --- target group stickiness ---


@pytest.mark.parametrize(
    ("groups", "later", "expected"),
    [
        pytest.param(["users", "monolith"], 0, "users", id="a group of this forward"),
        pytest.param(["users"], 59, "users", id="just in time"),
        pytest.param(["users"], 60, None, id="too late"),
        pytest.param(["orders"], 0, None, id="a group of another forward"),
    ],
)
def test_which_group_a_cookie_names(groups: list[str], later: float, expected: str | None) -> None:
    written = GroupStickiness(["users"], 60).lines("users", SEALER, NOW, secure=False)
    for cookies in (cookie_line(written), [cookie_line(written)[0].partition(b"; ")[2]]):
        assert GroupStickiness(groups, 60).recall(cookies, SEALER, NOW + later) == expected
