"""How one target is chosen among those that may take a request (alb.md 5.2).

A new algorithm is a class beside `RoundRobin` and an entry in ALGORITHMS. `pick` runs once for every request and
allocates nothing; `pick_by_share` takes its place only while some target is to get less than the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from proxy.targets.target import Target


class Picker:
    """Chooses the target of each request of a group; it may keep state between two requests."""

    __slots__ = ()

    def pick(self, targets: tuple[Target, ...]) -> Target:
        """Choose one of `targets`, which has at least one; it may differ from call to call."""
        raise NotImplementedError


class Algorithm(Picker):
    """The balancing of one target group."""

    __slots__ = ()

    def pick_by_share(self, targets: tuple[Target, ...], shares: Sequence[float]) -> Target:
        """Choose one of `targets`, each in proportion to its share: 1 for a full one, 0 for none."""
        raise NotImplementedError


class RoundRobin(Algorithm):
    """`round_robin`: one after the other, in the order of the group."""

    __slots__ = ("_credits", "_next")

    def __init__(self) -> None:
        self._next = 0
        self._credits: dict[Target, float] = {}

    def pick(self, targets: tuple[Target, ...]) -> Target:
        """Choose the target after the one chosen last."""
        index = self._next
        if index >= len(targets):
            index = 0
        self._next = index + 1
        return targets[index]

    def pick_by_share(self, targets: tuple[Target, ...], shares: Sequence[float]) -> Target:
        """Choose the target that is most in arrears; so turns are spread evenly, not bunched.

        Each turn gives a target credit for its share, and takes what was given from the one chosen.
        """
        total = sum(shares)
        if total <= 0:
            return self.pick(targets)
        before = self._credits
        credits = {target: before.get(target, 0.0) + share for target, share in zip(targets, shares, strict=True)}
        chosen = max(credits, key=credits.__getitem__)
        credits[chosen] -= total
        self._credits = credits
        return chosen


class LeastOutstandingRequests(Algorithm):
    """`least_outstanding_requests`: the one with the fewest requests in flight; equal ones take turns."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def pick(self, targets: tuple[Target, ...]) -> Target:
        """Choose the first with the fewest, looking from the one after the one chosen last."""
        count = len(targets)
        best = start = self._next if self._next < count else 0
        fewest = targets[start].in_flight
        index = start
        while fewest:
            index += 1
            if index == count:
                index = 0
            if index == start:
                break
            in_flight = targets[index].in_flight
            if in_flight < fewest:
                best, fewest = index, in_flight
        self._next = best + 1
        return targets[best]

    def pick_by_share(self, targets: tuple[Target, ...], shares: Sequence[float]) -> Target:
        """Choose as `pick` does: a share and the fewest in flight cannot both be had (alb.md 5.2)."""
        return self.pick(targets)


class WeightedRandom(Algorithm):
    """`weighted_random`: by chance, each target with the same weight unless it is anomalous.

    Args:
        draw: Returns a number from 0 up to, not including, 1.
    """

    __slots__ = ("_draw",)

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw

    def pick(self, targets: tuple[Target, ...]) -> Target:
        """Choose any."""
        return targets[int(self._draw() * len(targets))]

    def pick_by_share(self, targets: tuple[Target, ...], shares: Sequence[float]) -> Target:
        """Choose by weight."""
        total = sum(shares)
        if total <= 0:
            return self.pick(targets)
        point = self._draw() * total
        for target, share in zip(targets, shares, strict=True):
            point -= share
            if point < 0:
                return target
        # Rounding can leave a point behind the last share.
        return max(zip(shares, targets, strict=True), key=lambda pair: pair[0])[1]


class ByShare(Picker):
    """An algorithm while some target is to get less than the others.

    Args:
        share: The part of a full share that a target gets at present.
    """

    __slots__ = ("_algorithm", "_share")

    def __init__(self, algorithm: Algorithm, share: Callable[[Target], float]) -> None:
        self._algorithm = algorithm
        self._share = share

    def pick(self, targets: tuple[Target, ...]) -> Target:
        """Choose one of `targets` in proportion to their shares."""
        return self._algorithm.pick_by_share(targets, [self._share(target) for target in targets])


ALGORITHMS: Mapping[str, Callable[[Callable[[], float]], Algorithm]] = {
    "round_robin": lambda draw: RoundRobin(),
    "least_outstanding_requests": lambda draw: LeastOutstandingRequests(),
    "weighted_random": WeightedRandom,
}
"""By the value of `load_balancing.algorithm.type`; each takes chance as an argument."""
