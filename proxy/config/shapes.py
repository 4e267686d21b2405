"""The shapes of single values: one description each, from which reading and the JSON Schema both come.

A shape reads a value of the tree into a plain Python value, or reports why it cannot and returns None. Its
`schema` accepts everything that `read` accepts; where JSON Schema has no word for a rule it accepts more.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from proxy.config.problem import Place, Report
from proxy.config.suggest import MOST_SUGGESTIONS, nearest
from proxy.config.tree import Scalar, Sequence, Value

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

Schema = dict[str, Any]
ENVIRONMENT: Schema = {"$ref": "#/$defs/environment"}

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_LONGEST_SHOWN = 60


class Fault(NamedTuple):
    """What is wrong with a text: a problem code, and what to say after the value itself."""

    code: str
    message: str


Check = Callable[[str], Fault | None]
"""Judges a text. The message speaks of the rule, never of the text, which may be a secret."""


class Shape(ABC, Generic[T_co]):
    """What a value may look like. `noun` names it in messages, `takes` says which kinds of node it reads."""

    noun: str
    takes: tuple[type, ...] = (Scalar,)

    @abstractmethod
    def read(self, value: Value, path: str, report: Report) -> T_co | None:
        """Return what `value` says, or report every reason why it says nothing and return None."""

    @abstractmethod
    def schema(self) -> Schema:
        """The JSON Schema of this shape."""

    def then(self, build: Callable[[T_co, Place, Report], R | None]) -> Shape[R]:
        """This shape, its value turned into something else by `build`, which may report and return None."""
        return _Then(self, build)


class _Then(Shape[R], Generic[T, R]):
    def __init__(self, shape: Shape[T], build: Callable[[T, Place, Report], R | None]) -> None:
        self.shape = shape
        self.build = build
        self.noun = shape.noun
        self.takes = shape.takes

    def read(self, value: Value, path: str, report: Report) -> R | None:
        read = self.shape.read(value, path, report)
        return None if read is None else self.build(read, place_of(value, path), report)

    def schema(self) -> Schema:
        return self.shape.schema()


class ScalarShape(Shape[T]):
    """A shape of one scalar; whatever is not a scalar, and null, is refused here."""

    def read(self, value: Value, path: str, report: Report) -> T | None:
        if path in report.failed:
            return None
        if not isinstance(value, Scalar) or value.kind == "null":
            wrong_type(value, path, report, self.noun)
            return None
        return self.read_scalar(value, place_of(value, path), report)

    @abstractmethod
    def read_scalar(self, value: Scalar, place: Place, report: Report) -> T | None:
        """Read a scalar that is not null."""


class Text(ScalarShape[str]):
    """A string.

    Args:
        noun: What it is, with its article: `a host name`.
        longest: In characters.
        allowed: A character class such as `[a-z]`; each character of the value must be one of it.
        allowed_words: The same for people.
        checks: Rules beyond that, in order; the first fault is reported.
        secret: The value must come from the environment.
    """

    def __init__(
        self,
        noun: str,
        *,
        shortest: int = 1,
        longest: int = 1024,
        allowed: str = "",
        allowed_words: str = "",
        checks: tuple[Check, ...] = (),
        secret: bool = False,
    ) -> None:
        self.noun = noun
        self.shortest = shortest
        self.longest = longest
        self.allowed = allowed
        self.allowed_words = allowed_words
        self.checks = checks
        self.secret = secret
        self._allowed = re.compile(allowed) if allowed else None

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> str | None:
        if value.kind not in ("string", "environment"):
            report.error("wrong-type", place, unquoted(value, self.noun))
            return None
        if self.secret and value.kind != "environment":
            message = "a secret does not belong in the table: write ${NAME} and set NAME in the environment"
            report.error("literal-secret", place, message)
            return None
        fault = self.fault(value.text, literal=value.kind == "string")
        if fault is not None:
            report.error(fault.code, place, f"{shown(value)} {fault.message}")
            return None
        return value.text

    def fault(self, text: str, *, literal: bool = True) -> Fault | None:
        """What is wrong with `text`; of a text that is not literal no character is shown."""
        if len(text) < self.shortest:
            return Fault("empty-value", f"is empty: {self.noun} has at least {self.shortest} character")
        if len(text) > self.longest:
            return Fault("too-long", f"has {len(text)} characters; {self.noun} has at most {self.longest}")
        if self._allowed is not None:
            bad = next((character for character in text if not self._allowed.fullmatch(character)), None)
            if bad is not None:
                what = repr(bad) if literal else "a character"
                return Fault(
                    "invalid-character",
                    f"contains {what}, which {self.noun} cannot; allowed are {self.allowed_words}",
                )
        return next((fault for check in self.checks if (fault := check(text))), None)

    def schema(self) -> Schema:
        limits: Schema = {"maxLength": self.longest}
        if self.shortest:
            limits["minLength"] = self.shortest
        if self.allowed:
            limits["pattern"] = f"^{self.allowed}*$"
        if self.secret:
            return ENVIRONMENT
        return {"type": "string", "anyOf": [limits, ENVIRONMENT]}


class Integer(ScalarShape[int]):
    """A whole number from `low` to `high`, in plain decimal digits.

    `texts` allows the digits in quotes, where the ELBv2 API itself has a string.
    """

    def __init__(self, low: int, high: int, unit: str = "", *, texts: bool = False) -> None:
        self.low = low
        self.high = high
        self.unit = unit
        self.texts = texts
        self.noun = f"a whole number from {low} to {high}" + (f" ({unit})" if unit else "")

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> int | None:
        if value.kind == "string" and _DECIMAL.fullmatch(value.text) and not self.texts:
            message = f"{shown(value)} is a string; {self.noun} stands without quotes"
            report.error("wrong-type", place, message)
            return None
        if not _DECIMAL.fullmatch(value.text):
            report.error("wrong-type", place, f"{shown(value)} is not {self.noun}")
            return None
        number = int(value.text)
        if not self.low <= number <= self.high:
            report.error("out-of-range", place, f"{shown(value)} is not {self.noun}")
            return None
        return number

    def schema(self) -> Schema:
        number: Schema = {"type": "integer", "minimum": self.low, "maximum": self.high}
        options = [number, ENVIRONMENT]
        if self.texts:
            options.append({"type": "string", "pattern": "^[0-9]+$"})
        return {"anyOf": options}


class IntegerOrWord(ScalarShape[int | str]):
    """A whole number, or one of a few words that stand for one."""

    def __init__(self, number: Integer, *words: str) -> None:
        self.number = number
        self.words = words
        self.noun = f"{number.noun} or {' or '.join(words)}"

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> int | str | None:
        if value.text in self.words:
            return value.text
        if _DECIMAL.fullmatch(value.text):
            return self.number.read_scalar(value, place, report)
        report.error("unknown-value", place, f"{shown(value)} is not {self.noun}")
        return None

    def schema(self) -> Schema:
        return {"anyOf": [*self.number.schema()["anyOf"], {"enum": yaml_words(self.words)}]}


class Boolean(ScalarShape[bool]):
    """`true` or `false`."""

    noun = "true or false"
    VALUES: ClassVar[dict[str, bool]] = {"true": True, "false": False}

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> bool | None:
        known = self.VALUES.get(value.text)
        if known is None or value.kind == "string":
            remedy = ", without quotes" if known is not None else ""
            report.error("wrong-type", place, f"{shown(value)} is not {self.noun}{remedy}")
            return None
        return known

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "boolean"}, ENVIRONMENT]}


class Choice(ScalarShape[str]):
    """One of a few words, as the ELBv2 API writes them; `on` and `off` are words here and not booleans."""

    def __init__(self, *words: str, noun: str = "") -> None:
        self.words = words
        self.noun = noun or (f"one of {', '.join(words)}" if len(words) > 1 else words[0])

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> str | None:
        if value.text in self.words:
            return value.text
        helps = value.kind != "environment" and len(report.problems) < MOST_SUGGESTIONS
        near = nearest(value.written, self.words) if helps else None
        remedy = f"; did you mean {near}?" if near else ""
        report.error("unknown-value", place, f"{shown(value)} is not {self.noun}{remedy}")
        return None

    def schema(self) -> Schema:
        return {"anyOf": [{"enum": yaml_words(self.words)}, ENVIRONMENT]}


def printable(text: str) -> Fault | None:
    """Only visible ASCII and the blank are compared (alb.md 1.3)."""
    if _PRINTABLE.fullmatch(text):
        return None
    return Fault("invalid-character", "contains a character outside visible ASCII, which is never compared")


def place_of(value: Value, path: str) -> Place:
    return Place(value.line, value.column, path)


def brief(text: str) -> str:
    """`text` short enough for a message."""
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def shown(value: Scalar) -> str:
    """A scalar for a message: as the file has it, so a reference and not what it stands for."""
    return quoted(value.written) if value.kind in ("string", "environment") else brief(value.written)


def quoted(text: str) -> str:
    """`text` in double quotes, as YAML would take it."""
    escaped = brief(text).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in escaped) + '"'


def unquoted(value: Scalar, noun: str) -> str:
    """Why a scalar that YAML gave another type cannot be a string, and how to write it."""
    written = brief(value.written)
    article = "an" if value.kind == "integer" else "a"
    remedy = f"quote it, {quoted(value.written)}"
    return f"{written} is {article} {value.kind} to YAML and {noun} is a string: {remedy}"


def wrong_type(value: Value, path: str, report: Report, noun: str) -> None:
    """Report that `value` is of another kind than `noun`."""
    place = place_of(value, path)
    if isinstance(value, Scalar) and value.kind == "null":
        if value.written.startswith("#{"):
            message = f"YAML reads {value.written} as a comment: quote it, {quoted(value.written)}"
        else:
            message = f"there is no value here; {noun} is expected"
    elif isinstance(value, Scalar):
        message = f"{shown(value)} is not {noun}"
    else:
        message = f"a {'list' if isinstance(value, Sequence) else 'mapping'} stands here; {noun} is expected"
    report.error("wrong-type", place, message)


def yaml_words(words: tuple[str, ...]) -> list[str | bool]:
    """`words` for an `enum`, with the booleans that YAML 1.1 makes of some of them."""
    booleans = {"on": True, "true": True, "off": False, "false": False}
    return [*words, *dict.fromkeys(booleans[word] for word in words if word in booleans)]
