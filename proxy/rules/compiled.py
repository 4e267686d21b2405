"""One rule, ready to decide: what a rule of the table is after a reload has compiled it."""

from __future__ import annotations

from proxy.config.model import AuthenticationConfig, LoginConfig
from proxy.rules.actions import Action, Route
from proxy.rules.conditions import Condition
from proxy.rules.request import RequestView
from proxy.rules.transforms import Transform


class Authenticate:
    """What a rule wants to know of who asks (alb.md 3.4, 3.5).

    Attributes:
        config: Its own action; None for a rule without one on a listener with logins.
        logins: The logins of the listener, any of which a callback may end.
    """

    __slots__ = ("config", "logins")

    def __init__(self, config: AuthenticationConfig | None, logins: tuple[LoginConfig, ...]) -> None:
        self.config = config
        self.logins = logins


class CompiledRule:
    """One rule, ready to decide.

    Attributes:
        name: Unique in the listener; `default` for the default rule.
        priority: None for the default rule (alb.md 1.2).
        conditions: All must hold; the default rule has none.
        action: What is done with the request.
        index: Its place in the order of trial, from 0; also its place in `ListenerConfig.rules`.
        route: The action's answer when it is the same for every request, else None.
        transforms: What it rewrites before the action; the default rule and nearly all others have none (alb.md 4).
        authenticate: What comes before that; None on a listener without logins for a rule without authentication.
    """

    __slots__ = ("action", "authenticate", "conditions", "index", "name", "priority", "route", "transforms")

    def __init__(
        self,
        name: str,
        priority: int | None,
        conditions: tuple[Condition, ...],
        action: Action,
        index: int,
        route: Route | None,
        transforms: tuple[Transform, ...] = (),
        authenticate: Authenticate | None = None,
    ) -> None:
        self.name = name
        self.priority = priority
        self.conditions = conditions
        self.action = action
        self.index = index
        self.route = route
        self.transforms = transforms
        self.authenticate = authenticate

    def refused_by(self, view: RequestView) -> Condition | None:
        """Return the first condition that does not hold, or None if the rule takes the request."""
        for condition in self.conditions:
            if not condition.matches(view):
                return condition
        return None
