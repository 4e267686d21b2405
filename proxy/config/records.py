"""The shapes made of other shapes: lists, mappings with free keys, and records with known ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from proxy.config.problem import Place, Report
from proxy.config.shapes import Schema, Shape, Text, place_of, quoted, shown, unquoted, wrong_type
from proxy.config.suggest import MOST_SUGGESTIONS, advice
from proxy.config.tree import Map, Scalar, Sequence, Value, join

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Effect(Enum):
    """What giving a key does so far."""

    FULL = "it does what it says"
    LATER = "only its default is accepted; anything else would be ignored, so it is refused"
    NONE = "it is the load balancer's business in the cloud; accepted with a warning"


NO_DEFAULT: Any = object()
NOT_YET = "Not supported yet."
NO_EFFECT = "No effect on one machine."


@dataclass(frozen=True)
class Field(Generic[T_co]):
    """One key of a record. `default` is the load balancer's, for the message and for `Effect.LATER`."""

    name: str
    shape: Shape[T_co]
    about: str
    required: bool = False
    effect: Effect = Effect.FULL
    default: Any = NO_DEFAULT

    def schema(self) -> Schema:
        schema = {**self.shape.schema(), "description": self.about}
        if self.effect is not Effect.FULL:
            schema["description"] += f" {NOT_YET if self.effect is Effect.LATER else NO_EFFECT}"
        if Scalar in self.shape.takes and isinstance(self.default, str | int):
            schema["default"] = self.default
        return schema


class Fields:
    """What a record says, by field: `fields.get(PORT, 80)`. A value that was refused counts as absent."""

    def __init__(self, value: Map, path: str, report: Report) -> None:
        self.place = place_of(value, path)
        self.report = report
        self.values: dict[str, Any] = {}
        self.places: dict[str, Place] = {}

    def find(self, field: Field[T]) -> T | None:
        value: T | None = self.values.get(field.name)
        return value

    def get(self, field: Field[T], fallback: T) -> T:
        value: T = self.values.get(field.name, fallback)
        return value

    def has(self, field: Field[Any]) -> bool:
        """Whether the key is written, however its value was judged."""
        return field.name in self.places

    def at(self, field: Field[Any]) -> Place:
        """The place of the field's value, or of the record when the file does not have it."""
        return self.places.get(field.name) or self.place.of(field.name)

    def error(self, code: str, field: Field[Any], message: str) -> None:
        self.report.error(code, self.at(field), message)


class Record(Shape[R]):
    """A mapping with known keys. `build` makes something of the fields, also when some were refused.

    With `exactly_one` the mapping has one of its keys, no more: a tagged value such as a condition.
    """

    takes = (Map,)

    def __init__(
        self,
        noun: str,
        fields: tuple[Field[Any], ...],
        build: Callable[[Fields], R | None],
        *,
        exactly_one: bool = False,
    ) -> None:
        self.noun = noun
        self.fields = {field.name: field for field in fields}
        self.build = build
        self.exactly_one = exactly_one

    def read(self, value: Value, path: str, report: Report) -> R | None:
        if not isinstance(value, Map):
            wrong_type(value, path, report, self.noun)
            return None
        fields = Fields(value, path, report)
        for entry in value.entries:
            field = self.fields.get(entry.key.text)
            if field is None:
                self.unknown_key(entry.key, join(path, entry.key.text), report)
                continue
            value_path = join(path, field.name)
            fields.places[field.name] = value_place(entry.key, entry.value, value_path)
            read = field.shape.read(at_key(entry.key, entry.value), value_path, report)
            if read is not None:
                fields.values[field.name] = read
                self.judge_effect(field, read, fields)
        if self.exactly_one and len(value.entries) != 1:
            message = f"{self.noun} has exactly one key, here are {len(value.entries)}: {', '.join(self.fields)}"
            report.error("exactly-one-key", fields.place, message)
        for field in self.fields.values():
            if field.required and not fields.has(field):
                report.error("missing-key", fields.place, f"{field.name} is missing: {field.about}")
                report.failed.add(join(path, field.name))
        return self.build(fields)

    def unknown_key(self, key: Scalar, path: str, report: Report) -> None:
        hint = advice(key.text, self.fields) if len(report.problems) < MOST_SUGGESTIONS else ""
        message = f"unknown key {quoted(key.text)} in {self.noun}" + (f"; {hint}" if hint else "")
        report.error("unknown-key", Place(key.line, key.column, path), message)

    def judge_effect(self, field: Field[Any], read: Any, fields: Fields) -> None:
        if field.effect is Effect.LATER and (type(read), read) != (type(field.default), field.default):
            message = f"{field.name} is reserved and does nothing yet: remove it"
            if Scalar in field.shape.takes and isinstance(field.default, str | int):
                default = str(field.default)
                message += f" or give its default, {default.lower() if default in ('True', 'False') else default}"
            fields.error("not-supported-yet", field, message)
        elif field.effect is Effect.NONE:
            message = f"{field.name} has no effect on one machine; it is kept for the real load balancer"
            fields.report.warning("without-effect", fields.at(field), message)

    def schema(self) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {field.name: field.schema() for field in self.fields.values()},
            "additionalProperties": False,
        }
        required = [field.name for field in self.fields.values() if field.required]
        if required:
            schema["required"] = required
        if self.exactly_one:
            schema |= {"minProperties": 1, "maxProperties": 1}
        return schema


class ListOf(Shape[tuple[T, ...]]):
    """A list; items that were refused are left out of the result."""

    takes = (Sequence,)

    def __init__(self, item: Shape[T], noun: str, *, shortest: int = 0) -> None:
        self.item = item
        self.noun = noun
        self.shortest = shortest

    def read(self, value: Value, path: str, report: Report) -> tuple[T, ...] | None:
        if not isinstance(value, Sequence):
            wrong_type(value, path, report, self.noun)
            return None
        if len(value.items) < self.shortest:
            report.error("empty-list", place_of(value, path), f"the list is empty; {self.noun} is expected")
            return None
        read = (self.item.read(item, f"{path}[{index}]", report) for index, item in enumerate(value.items))
        return tuple(item for item in read if item is not None)

    def schema(self) -> Schema:
        return {"type": "array", "items": self.item.schema(), "minItems": self.shortest}


class OneOrMany(Shape[tuple[T, ...]]):
    """A list of one or more, or its only item without the brackets."""

    def __init__(self, item: Shape[T]) -> None:
        self.item = item
        self.noun = f"{item.noun} or a list of them"
        self.takes = (*item.takes, Sequence)
        self.many = ListOf(item, self.noun, shortest=1)

    def read(self, value: Value, path: str, report: Report) -> tuple[T, ...] | None:
        if isinstance(value, Sequence):
            return self.many.read(value, path, report)
        one = self.item.read(value, path, report)
        return None if one is None else (one,)

    def schema(self) -> Schema:
        return {"anyOf": [self.item.schema(), self.many.schema()]}


class Either(Shape[R]):
    """One of several shapes, told apart by whether the value is a scalar, a list or a mapping."""

    def __init__(self, *shapes: Shape[R]) -> None:
        self.shapes = shapes
        self.noun = " or ".join(shape.noun for shape in shapes)
        self.takes = tuple(kind for shape in shapes for kind in shape.takes)

    def read(self, value: Value, path: str, report: Report) -> R | None:
        for shape in self.shapes:
            if isinstance(value, shape.takes) and not (isinstance(value, Scalar) and value.kind == "null"):
                return shape.read(value, path, report)
        wrong_type(value, path, report, self.noun)
        return None

    def schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


class MapOf(Shape[dict[str, T]]):
    """A mapping whose keys are names of the user's choice; refused entries are left out of the result.

    Args:
        key: What a key must look like.
        fallback: Stands in for a refused value, so that the name stays known.
    """

    takes = (Map,)

    def __init__(
        self,
        key: Text,
        item: Shape[T],
        noun: str,
        *,
        shortest: int = 1,
        longest: int | None = None,
        too_long: str = "too-many-keys",
        fallback: Callable[[str], T] | None = None,
    ) -> None:
        self.key = key
        self.item = item
        self.noun = noun
        self.shortest = shortest
        self.longest = longest
        self.too_long = too_long
        self.fallback = fallback

    def read(self, value: Value, path: str, report: Report) -> dict[str, T] | None:
        if not isinstance(value, Map):
            wrong_type(value, path, report, self.noun)
            return None
        count = len(value.entries)
        if count < self.shortest:
            report.error("empty-mapping", place_of(value, path), f"the mapping is empty; {self.noun} is expected")
        if self.longest is not None and count > self.longest:
            report.error(self.too_long, place_of(value, path), f"here are {count} keys; {self.noun} is expected")
        items: dict[str, T] = {}
        for entry in value.entries:
            name = entry.key.text
            self.judge_key(entry.key, join(path, name), report)
            item = self.item.read(at_key(entry.key, entry.value), join(path, name), report)
            if item is None and self.fallback is not None:
                item = self.fallback(name)
            if item is not None:
                items[name] = item
        return items

    def judge_key(self, key: Scalar, path: str, report: Report) -> None:
        place = Place(key.line, key.column, path)
        if key.kind != "string":
            report.error("wrong-type", place, unquoted(key, self.key.noun))
        elif fault := self.key.fault(key.text):
            report.error(fault.code, place, f"{shown(key)} {fault.message}")

    def schema(self) -> Schema:
        names: Schema = {"minLength": self.key.shortest, "maxLength": self.key.longest}
        if self.key.allowed:
            names["pattern"] = f"^{self.key.allowed}*$"
        schema: Schema = {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": self.item.schema(),
            "minProperties": self.shortest,
        }
        if self.longest is not None:
            schema["maxProperties"] = self.longest
        return schema


class Unknown(Shape[bool]):
    """A mapping whose language is not settled; true when it says anything at all."""

    takes = (Map,)

    def __init__(self, noun: str) -> None:
        self.noun = noun

    def read(self, value: Value, path: str, report: Report) -> bool | None:
        if not isinstance(value, Map):
            wrong_type(value, path, report, self.noun)
            return None
        return bool(value.entries)

    def schema(self) -> Schema:
        return {"type": "object"}


def at_key(key: Scalar, value: Value) -> Value:
    """A collection stands where its key stands: that is the word a reader looks for."""
    if isinstance(value, Sequence):
        return Sequence(key.line, key.column, value.items)
    if isinstance(value, Map):
        return Map(key.line, key.column, value.entries)
    return value


def value_place(key: Scalar, value: Value, path: str) -> Place:
    """Where a problem with the value of `key` is shown."""
    return place_of(at_key(key, value), path)
