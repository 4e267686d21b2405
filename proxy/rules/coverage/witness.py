"""Looking for a request that one rule takes and given earlier ones do not, and such a request in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_from_bytes

from proxy.config.model import ConditionConfig
from proxy.rules.coverage.demands import (
    ABSENT,
    HOST,
    METHOD,
    PATH,
    QUERY,
    SOURCE,
    Choice,
    Demand,
    Part,
    choose,
    demand_of,
)
from proxy.rules.coverage.work import UndecidedError, Work
from proxy.rules.request import RequestView

_EVERY_REQUEST_HAS = (METHOD, HOST, PATH, SOURCE)
_IN_A_PATH = "!$&'()*+,;=:@/~\""


@dataclass(frozen=True, slots=True)
class Witness:
    """One request, by its parts."""

    choices: Mapping[Part, Choice]

    @property
    def host(self) -> str:
        return _text(self.choices[HOST][0]) if self.choices[HOST] else ""

    @property
    def target(self) -> str:
        """The path with what cannot stand in a path percent-encoded, and the query as it is."""
        path = quote_from_bytes(self.choices[PATH][0], safe=_IN_A_PATH)
        pairs = [_text(pair).removesuffix("=") for pair in self.choices.get(QUERY, ABSENT)]
        return f"{path}?{'&'.join(pairs)}" if pairs else path

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [
            (name.title(), _text(line))
            for (field, name), lines in self.choices.items()
            if field == "http-header"
            for line in lines
        ]

    def view(self, scheme: Literal["http", "https"], port: int) -> RequestView:
        """The request as the rules see it."""
        headers = [("Host", self.host)] if self.host else []
        method, peer = _text(self.choices[METHOD][0]), _text(self.choices[SOURCE][0])
        return RequestView.of(method, self.target, headers + self.headers, peer=peer, scheme=scheme, port=port)

    def in_words(
        self, scheme: Literal["http", "https"], conceal: Callable[[str], str] = str, *, with_peer: bool = False
    ) -> str:
        """`GET http://a.example.com/api/users`, then the headers that matter, and the client's address if it does.

        Args:
            conceal: Applied to header values and the query.
        """
        method = _text(self.choices[METHOD][0])
        path, mark, query = self.target.partition("?")
        target = path + mark + conceal(query)
        words = f"{method} {scheme}://{self.host}{target}" if self.host else f"{method} {target} without Host"
        for name, value in self.headers:
            words += f" with {name}: {conceal(value)}"
        return f"{words} from {_text(self.choices[SOURCE][0])}" if with_peer else words


@dataclass(frozen=True, slots=True)
class Demands:
    """The conditions of one rule, by the part of the request that they concern."""

    by_part: Mapping[Part, tuple[Demand, ...]]

    @classmethod
    def of(cls, conditions: Sequence[ConditionConfig]) -> Demands:
        by_part: dict[Part, tuple[Demand, ...]] = {}
        for condition in conditions:
            demand = demand_of(condition)
            by_part[demand.part] = (*by_part.get(demand.part, ()), demand)
        return cls(by_part)

    @property
    def text(self) -> frozenset[tuple[Part, tuple[str, ...]]]:
        """Equal for two rules that have the same conditions, in any order."""
        return frozenset(demand.key for demands in self.by_part.values() for demand in demands)


Avoided = dict[Part, tuple[Demand, ...]]


def find_witness(rule: Demands, earlier: Sequence[Demands], work: Work) -> Witness | None:
    """Return a request that `rule` takes and no rule of `earlier` does; None if every one it takes is taken there.

    An earlier rule fails if one of its conditions does. Which one is tried in turn, rule by rule, with a step back
    when the part of the request that a condition concerns has no value left.

    Raises:
        UndecidedError, ExhaustedError: A regular expression leaves it open, or it took too many steps.
    """
    search = _Search(rule, earlier, work)
    choices = search.choices({})
    if choices is None:
        return None
    found = search.avoiding(0, {}, choices)
    if found is None and search.undecided is not None:
        raise search.undecided
    return None if found is None else Witness(found)


class _Search:
    def __init__(self, rule: Demands, earlier: Sequence[Demands], work: Work) -> None:
        self.rule = rule
        self.earlier = earlier
        self.work = work
        self.undecided: UndecidedError | None = None

    def choices(self, avoided: Avoided) -> dict[Part, Choice] | None:
        chosen = {}
        for part in (*_EVERY_REQUEST_HAS, *(part for part in self.rule.by_part if part not in _EVERY_REQUEST_HAS)):
            choice = self._choose(part, avoided)
            if choice is None:
                return None
            chosen[part] = choice
        return chosen

    def avoiding(self, number: int, avoided: Avoided, choices: dict[Part, Choice]) -> dict[Part, Choice] | None:
        """Choices that also fail `earlier[number]` and all after it."""
        if number == len(self.earlier):
            return choices
        self.work.spend(1)
        demands = [demand for part in self.earlier[number].by_part.values() for demand in part]
        if any(demand.text == other.text for demand in demands for other in avoided.get(demand.part, ())):
            return self.avoiding(number + 1, avoided, choices)
        met = {demand.key: self._meets(choices.get(demand.part, ABSENT), demand) for demand in demands}
        # What fails already is the easiest to fail, then what the rule itself says nothing about.
        for demand in sorted(demands, key=lambda demand: (met[demand.key], demand.part in self.rule.by_part)):
            narrower = {**avoided, demand.part: (*avoided.get(demand.part, ()), demand)}
            try:
                choice = self._choose(demand.part, narrower) if met[demand.key] else choices.get(demand.part, ABSENT)
            except UndecidedError as error:
                self.undecided = error
                continue
            if choice is None:
                continue
            found = self.avoiding(number + 1, narrower, {**choices, demand.part: choice})
            if found is not None:
                return found
        return None

    def _meets(self, choice: Choice, demand: Demand) -> bool:
        if demand.part in (METHOD, SOURCE):
            return True  # or not: choosing again costs no more than looking
        self.work.spend(sum(map(len, choice)))
        return any(demand.takes(text) for text in choice)

    def _choose(self, part: Part, avoided: Avoided) -> Choice | None:
        return choose(part, self.rule.by_part.get(part, ()), avoided.get(part, ()), self.work)


def _text(value: bytes) -> str:
    return value.decode("latin-1")
