"""Event patterns: which JSON documents match (EventBridge guide, "Comparison operators"; events.md A8); pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from proxy.strict_json import refuse_constant

MAX_CHARACTERS: Final = 4096
"""Of a pattern (Lambda API, Pattern)."""
MAX_DEPTH: Final = 100
"""Of objects within objects in a pattern; what is matched may be deeper."""

Leaf = Callable[[Any], bool]
"""Whether one value of the document, no object and no array, satisfies a rule."""
_Match = Callable[[Any], bool]
_MISSING: Final = object()


class PatternError(ValueError):
    """The text is no pattern; the message says where and why."""


class Pattern:
    """A pattern, ready to be used.

    Args:
        text: JSON. An object of rules: keys are all to match, of the values in a list one.

    Raises:
        PatternError
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise PatternError(f"it has {len(text)} characters, {MAX_CHARACTERS} may be")
        try:
            self.rules = json.loads(text, object_pairs_hook=_unique, parse_constant=refuse_constant)
            if not isinstance(self.rules, dict) or not self.rules:
                raise PatternError("it must be a JSON object with at least one key")
            self._match = _object(self.rules, "", 1)
        except PatternError:
            raise
        except (ValueError, RecursionError) as error:
            raise PatternError(f"it is no JSON: {error}") from None

    def matches(self, document: Any) -> bool:
        """Whether a JSON document, decoded, matches."""
        return self._match(document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise PatternError("a key stands twice in one object")
    return dict(pairs)


def _object(rules: dict[str, Any], place: str, depth: int) -> _Match:
    """All keys match, within the same object where the document has a list of them."""
    if depth > MAX_DEPTH:
        raise PatternError(f"it is more than {MAX_DEPTH} objects deep")
    keys: list[tuple[str, _Match]] = []
    alternatives: list[list[_Match]] = []
    for name, rule in rules.items():
        here = f"{place}.{name}" if place else name
        if name == "$or" and _is_or(rule):
            alternatives.append([_object(each, here, depth + 1) for each in rule])
        elif isinstance(rule, dict):
            if not rule:
                raise PatternError(f"{here} must not be empty")
            keys.append((name, _object(rule, here, depth + 1)))
        elif isinstance(rule, list):
            keys.append((name, _any_of(rule, here)))
        else:
            raise PatternError(f"{here} must be an object, or a list of values")

    def match(value: Any) -> bool:
        return any(
            all(matches(each.get(name, _MISSING)) for name, matches in keys)
            and all(any(matches(each) for matches in one) for one in alternatives)
            for each in _objects(value)
        )

    return match


def _is_or(rule: Any) -> bool:
    """Whether `$or` is meant, and not a field of that name (aws/event-ruler, README)."""
    return (
        isinstance(rule, list)
        and len(rule) > 1
        and all(isinstance(each, dict) and each and not any(name in _OPERATORS for name in each) for each in rule)
    )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects that a value is or holds in lists; where there are none, every field is missing."""
    found = [each for each in _flat(value) if isinstance(each, dict)]
    return iter(found or [{}])


def _leaves(value: Any) -> list[Any]:
    return [each for each in _flat(value) if not isinstance(each, dict) and each is not _MISSING]


def _flat(value: Any) -> Iterator[Any]:
    """What is in lists, and in lists of lists: without recursion, since the document is anybody's."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(reversed(each))
        else:
            yield each


def _any_of(rules: list[Any], place: str) -> _Match:
    if not rules:
        raise PatternError(f"{place} must not be an empty list")
    presence: list[bool] = []
    tests: list[Leaf] = []
    for rule in rules:
        if isinstance(rule, list):
            raise PatternError(f"{place} must not have a list within its list")
        if not isinstance(rule, dict):
            tests.append(_equal(rule))
            continue
        if len(rule) != 1:
            raise PatternError(f"{place}: an operator is an object with one key")
        ((operator, operand),) = rule.items()
        if operator == "exists":
            if not isinstance(operand, bool):
                raise PatternError(f"{place}: exists takes true or false")
            presence.append(operand)
        elif operator in _TESTS:
            tests.append(_TESTS[operator](operand, f"{place}: {operator}"))
        else:
            raise PatternError(f"{place}: there is no operator {operator!r}")

    def match(value: Any) -> bool:
        leaves = _leaves(value)
        return any(wanted is bool(leaves) for wanted in presence) or any(
            test(leaf) for leaf in leaves for test in tests
        )

    return match


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(wanted: Any) -> Leaf:
    """Equal in JSON: 5 and 5.0 are, 1 and true are not."""
    if _is_number(wanted):
        return lambda value: _is_number(value) and float(value) == float(wanted)
    return lambda value: type(value) is type(wanted) and value == wanted


def _text(operand: Any, place: str) -> str:
    if not isinstance(operand, str) or not operand:
        raise PatternError(f"{place} takes a text")
    return operand


def _affix(name: str) -> Callable[[Any, str], Leaf]:
    def build(operand: Any, place: str) -> Leaf:
        if isinstance(operand, dict):
            if operand.keys() != {"equals-ignore-case"}:
                raise PatternError(f"{place} takes a text, or equals-ignore-case")
            folded = _text(operand["equals-ignore-case"], place).lower()
            return lambda value: isinstance(value, str) and method(value.lower(), folded)
        text = _text(operand, place)
        return lambda value: isinstance(value, str) and method(value, text)

    method = str.startswith if name == "prefix" else str.endswith
    return build


def _ignoring_case(operand: Any, place: str) -> Leaf:
    folded = _text(operand, place).lower()
    return lambda value: isinstance(value, str) and value.lower() == folded


def _wildcard(operand: Any, place: str) -> Leaf:
    r"""`*` stands for any characters; `\*` and `\\` for themselves."""
    parts = [""]
    characters = iter(_text(operand, place))
    star_before = False
    for character in characters:
        if character == "*":
            if star_before:
                raise PatternError(f"{place} must not have two * in a row")
            parts.append("")
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in ("*", "\\"):
                raise PatternError(f"{place}: after a \\ comes * or \\")
            parts[-1] += escaped
        else:
            parts[-1] += character
        star_before = character == "*"
    return lambda value: isinstance(value, str) and _has_parts(value, parts)


def _has_parts(value: str, parts: list[str]) -> bool:
    """Whether the first part begins it, the last one ends it, and the others stand between them in this order."""
    if len(parts) == 1:
        return value == parts[0]
    first, *between, last = parts
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for part in between:
        found = value.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _anything_but(operand: Any, place: str) -> Leaf:
    """Anything that is there, but these."""
    if isinstance(operand, dict):
        if len(operand) != 1 or next(iter(operand)) not in _BUT:
            raise PatternError(f"{place} takes values, or one of {', '.join(_BUT)}")
        ((name, values),) = operand.items()
        unwanted = [_TESTS[name](value, f"{place} {name}") for value in _listed(values, place)]
    else:
        values = _listed(operand, place)
        kinds = {str if isinstance(value, str) else float if _is_number(value) else None for value in values}
        if None in kinds or len(kinds) > 1:
            raise PatternError(f"{place} takes texts, or numbers")
        unwanted = [_equal(value) for value in values]
    return lambda value: not any(test(value) for test in unwanted)


def _listed(values: Any, place: str) -> list[Any]:
    listed = values if isinstance(values, list) else [values]
    if not listed:
        raise PatternError(f"{place} must not be an empty list")
    return listed


_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": lambda value, limit: value == limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
}


def _numeric(operand: Any, place: str) -> Leaf:
    """One comparison, or one from below and one from above."""
    pairs = list(zip(operand[::2], operand[1::2], strict=False)) if isinstance(operand, list) else []
    signs = [sign for sign, _ in pairs]
    if not pairs or len(operand) % 2 or len(pairs) > 2 or not all(_is_number(limit) for _, limit in pairs):
        raise PatternError(f'{place} takes one or two comparisons, such as [">", 0, "<=", 5]')
    if not all(isinstance(sign, str) and sign in _COMPARISONS for sign in signs):
        raise PatternError(f"{place} compares with {', '.join(_COMPARISONS)}")
    if len(signs) == 2 and not (signs[0][0] == ">" and signs[1][0] == "<" and pairs[0][1] < pairs[1][1]):
        raise PatternError(f"{place}: two comparisons are a lower and then a higher limit")
    tests = [(_COMPARISONS[sign], float(limit)) for sign, limit in pairs]
    return lambda value: _is_number(value) and all(test(float(value), limit) for test, limit in tests)


def _cidr(operand: Any, place: str) -> Leaf:
    try:
        network = ipaddress.ip_network(_text(operand, place), strict=False)
    except ValueError:
        raise PatternError(f"{place} takes a network, such as 10.0.0.0/24") from None

    def test(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return test


_TESTS: Final[dict[str, Callable[[Any, str], Leaf]]] = {
    "prefix": _affix("prefix"),
    "suffix": _affix("suffix"),
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
}
_OPERATORS: Final = {*_TESTS, "exists"}
_BUT: Final = ("prefix", "suffix", "wildcard", "equals-ignore-case")
