"""What one request has to do with stickiness: which of its cookies count, and which ones its response brings.

Only requests of a rule with target group stickiness, or to a target group with target stickiness, have such an object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.config.model import ActionConfig, Config, ForwardConfig
from proxy.http1.head import Headers
from proxy.http1.sealed import Sealer
from proxy.rules.actions import Forward, Route
from proxy.rules.request import RequestView
from proxy.rules.stickiness import GroupStickiness
from proxy.targets.group import TargetGroup
from proxy.targets.stickiness import NOTHING, Recalled, TargetStickiness
from proxy.targets.target import Target

COOKIE_INVALID: Final = "AWSALBTGCookieInvalid"
"""What the access log says of a request whose AWSALBTG cannot be read; it goes where the weights say (alb.md 9.3)."""


class StickyRequest:
    """One request, and its response in the end.

    Args:
        view: The request.
        sealer: What seals the cookies.
        now: Seconds since 1970, at the request.

    Attributes:
        remark: `COOKIE_INVALID`, or nothing.
    """

    __slots__ = (
        "_chosen_group",
        "_cookies",
        "_forward",
        "_now",
        "_recalled",
        "_sealer",
        "_secure",
        "_targets",
        "remark",
    )

    def __init__(self, view: RequestView, sealer: Sealer, now: float) -> None:
        self._cookies = view.header_values(b"cookie")
        self._secure = view.scheme == "https"
        self._sealer = sealer
        self._now = now
        self._forward: GroupStickiness | None = None
        self._chosen_group = ""
        self._targets: TargetStickiness | None = None
        self._recalled: Recalled = NOTHING
        self.remark = ""

    def route(self, forward: Forward, draw: Callable[[], float]) -> Route:
        """The target group that the client's cookie names, else one by weight, which a cookie will name from now on.

        Raises:
            NoTargetError: No cookie counts and every weight is 0.
        """
        stickiness = forward.stickiness
        assert stickiness is not None
        group = stickiness.recall(self._cookies, self._sealer, self._now)
        if group is not None:
            return Route(group)
        if stickiness.has_invalid(self._cookies, self._sealer):
            self.remark = COOKIE_INVALID
        route = forward.choose(draw)
        self._forward = stickiness
        self._chosen_group = route.target_group
        return route

    def pick(self, group: TargetGroup) -> Target:
        """The target that the client's cookies name if it may take requests, else the next one.

        Raises:
            NoTargetError: The group has no registered target.
        """
        if group.stickiness is None:
            return group.pick()
        self._targets = group.stickiness
        self._recalled = self._targets.recall(self._cookies, self._sealer, self._now)
        target = group.find(self._recalled.target) if self._recalled.target else None
        if target is None:
            target = group.pick()
            group.nonsticky_requests += 1
        return target

    def set_cookie_lines(self, target: Target, headers: Headers, now: float) -> bytes:
        """The header lines that the response to the client gets besides its own.

        Args:
            target: Who answered; after a repetition not the one that was picked.
            headers: Those of its response.
            now: Seconds since 1970, at the response.
        """
        lines = b""
        if self._forward is not None:
            lines = self._forward.lines(self._chosen_group, self._sealer, now, secure=self._secure)
        if self._targets is not None:
            lines += self._targets.lines(self._recalled, target.url, headers, self._sealer, now, secure=self._secure)
        return lines


def is_used(config: Config) -> bool:
    """Whether a table has stickiness anywhere."""
    actions: list[ActionConfig] = []
    for listener in config.listeners:
        actions += [listener.default, *(rule.action for rule in listener.rules)]
    return any(group.attributes.stickiness for group in config.target_groups.values()) or any(
        isinstance(action, ForwardConfig) and action.stickiness_seconds is not None for action in actions
    )
