"""YAML text as a tree that knows its places: the one module that knows PyYAML.

The tree is built from the parser's events and not from PyYAML's composer, because a table may come from
anywhere: nesting and size are bounded here, an alias costs what it expands to, a duplicated key is a problem
instead of the last one winning, and nothing is ever constructed from a tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.resolver import Resolver

from proxy.config.environment import has_reference, substitute
from proxy.config.problem import Place, Report

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_NODES = 200_000
"""Values in a table, aliases expanded. A hundred rules are some three thousand."""
MAX_DEPTH = 32
"""The language itself is nine deep."""

_LONGEST_KEY = 200
_LONGEST_LINE = 2000

Kind = Literal["string", "integer", "number", "boolean", "date", "null", "environment"]

_KIND_OF_TAG: dict[str, Kind] = {
    "tag:yaml.org,2002:str": "string",
    "tag:yaml.org,2002:int": "integer",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:timestamp": "date",
    "tag:yaml.org,2002:null": "null",
}
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_COMMENT_EATS_PLACEHOLDER = re.compile(r"(?:[:,\[{]|-)\s+(#\{\w+\}[^,}\]\s]*)")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value.

    `text` has its `${NAME}` replaced and `written` has not: messages show `written`, so that no secret shows.
    A value from the environment is of kind `environment`: it has no YAML type, whoever reads it decides.
    """

    line: int
    column: int
    text: str
    kind: Kind
    written: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    key: Scalar
    value: Value


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping, its entries in the order of the file; no key comes twice."""

    line: int
    column: int
    entries: tuple[Entry, ...]


Value = Scalar | Sequence | Map


def compose(text: str, env: Mapping[str, str], report: Report) -> Value | None:
    """Read one YAML document into a tree, or report why that cannot be done and return None.

    Problems that leave the rest readable (a duplicated key, a missing environment variable) are reported, and
    the tree is returned without the offender.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"the table has {len(text)} characters; at most {MAX_CHARACTERS} are read"
        report.error("too-large", Place(1, 1, ""), message)
        return None
    text = text.removeprefix("\ufeff")
    if bad := _NOT_PRINTABLE.search(text):
        line, column = _position(text, bad.start())
        message = f"the character U+{ord(bad[0]):04X} cannot stand in YAML: remove it"
        report.error("yaml-syntax", Place(line, column, ""), message)
        return None
    try:
        return _Composer(text, env, report).document()
    except _Refused as refused:
        report.error(refused.code, refused.place, refused.message)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        report.error("yaml-syntax", Place(line, column, ""), _explain_syntax(error, text, line))
    except yaml.YAMLError as error:
        report.error("yaml-syntax", Place(1, 1, ""), f"this is not YAML: {error}")
    return None


def lines_of(text: str) -> list[str]:
    """The lines of `text` as YAML counts them."""
    return _LINE_BREAK.split(text)


def commented_placeholder(line: str) -> str | None:
    """The `#{query}` in `line` that YAML takes for a comment, if there is one."""
    found = _COMMENT_EATS_PLACEHOLDER.search(line)
    return found[1] if found else None


class _Refused(Exception):
    """The document cannot be read to its end."""

    def __init__(self, code: str, place: Place, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.place = place
        self.message = message


class _Composer:
    """Turns events into a tree; each method takes the event it begins with and consumes up to its end."""

    def __init__(self, text: str, env: Mapping[str, str], report: Report) -> None:
        self.events: Iterator[Event] = iter(yaml.parse(text, Loader=_LOADER))
        self.lines = lines_of(text)
        self.env = env
        self.report = report
        self.resolve: Callable[..., str] = Resolver().resolve
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.nodes = 0

    def document(self) -> Value | None:
        value: Value | None = None
        documents = 0
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    place = _place(event, "")
                    message = "a second document begins here: a table is one document, remove the ---"
                    raise _Refused("several-documents", place, message)
            elif isinstance(event, NodeEvent):
                value = self.value(event, "", 0)
        if value is None:
            message = "the file is empty: a table begins with version: 1"
            self.report.error("empty-file", Place(1, 1, ""), message)
        return value

    def value(self, event: NodeEvent, path: str, depth: int) -> Value:
        place = _place(event, path)
        self.count(1, place)
        if depth > MAX_DEPTH:
            raise _Refused("too-deep", place, f"nested more than {MAX_DEPTH} deep; nothing in a table is")
        if isinstance(event, AliasEvent):
            return self.alias(event, place)
        before = self.nodes
        value: Value
        if isinstance(event, ScalarEvent):
            value = self.scalar(event, place)
        elif isinstance(event, SequenceStartEvent):
            self.refuse_tag(event, place)
            value = self.sequence(place, depth)
        else:
            assert isinstance(event, MappingStartEvent)
            self.refuse_tag(event, place)
            value = self.mapping(place, depth)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.nodes - before + 1)
        return value

    def count(self, nodes: int, place: Place) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values, aliases expanded; a table has far fewer"
            raise _Refused("too-large", place, message)

    def alias(self, event: AliasEvent, place: Place) -> Value:
        known = self.anchors.get(str(event.anchor))
        if known is None:
            name = cut(str(event.anchor))
            message = f'*{name} refers to no anchor before it: a value that begins with * must be quoted, "*{name}"'
            raise _Refused("yaml-syntax", place, message)
        value, size = known
        self.count(size, place)
        return value

    def scalar(self, event: ScalarEvent, place: Place, *, is_key: bool = False) -> Scalar:
        written = event.value
        if event.tag is not None and event.tag not in _STRING_TAGS:
            self.refuse_tag(event, place)
            kind: Kind = "string"
        elif event.tag is not None or not event.implicit[0]:
            kind = "string"
        else:
            tag = self.resolve(yaml.ScalarNode, written, (True, False))
            kind = _KIND_OF_TAG.get(tag, "string")
        text = written
        if not is_key and has_reference(written):
            kind = "environment"
            text, faults = substitute(written, self.env)
            for fault in faults:
                self.report.error("environment", place, fault)
        return Scalar(place.line, place.column, text, kind, written)

    def sequence(self, place: Place, depth: int) -> Sequence:
        items: list[Value] = []
        for event in self.events:
            if isinstance(event, SequenceEndEvent):
                break
            assert isinstance(event, NodeEvent)
            items.append(self.value(event, f"{place.path}[{len(items)}]", depth + 1))
        return Sequence(place.line, place.column, tuple(items))

    def mapping(self, place: Place, depth: int) -> Map:
        entries: dict[str, Entry] = {}
        for event in self.events:
            if isinstance(event, MappingEndEvent):
                break
            assert isinstance(event, NodeEvent)
            key = self.key(event, place.path, depth)
            value_event = next(self.events)
            assert isinstance(value_event, NodeEvent)
            path = join(place.path, key.text if key else "?")
            value = self.value(value_event, path, depth + 1)
            if key is None:
                continue
            if key.text in entries:
                first = entries[key.text].key.line
                message = f"the key {cut(key.text)} stands in line {first} already: keep one of the two"
                self.report.error("duplicate-key", Place(key.line, key.column, path), message)
                continue
            entries[key.text] = Entry(key, self.noted(key, value))
        return Map(place.line, place.column, tuple(entries.values()))

    def key(self, event: NodeEvent, path: str, depth: int) -> Scalar | None:
        place = _place(event, path)
        if not isinstance(event, ScalarEvent):
            self.value(event, path, depth + 1)
            self.report.error("wrong-type", place, "a key must be a plain word")
            return None
        self.count(1, place)
        if self.resolve(yaml.ScalarNode, event.value, (event.implicit[0], False)) == _MERGE_TAG:
            self.report.error("merge-key", place, "<< is not part of this language: write the keys out")
            return None
        return self.scalar(event, place, is_key=True)

    def noted(self, key: Scalar, value: Value) -> Value:
        """`value`, or for a null that is a placeholder taken for a comment, a null that remembers it."""
        if isinstance(value, Scalar) and value.kind == "null" and not value.written:
            # No further than a key and a placeholder reach: a line may be long and have many nulls.
            rest = self.lines[key.line - 1][key.column - 1 :][: len(key.text) + _LONGEST_KEY]
            eaten = commented_placeholder(rest)
            if eaten:
                return Scalar(key.line, key.column, "", "null", eaten)
        return value

    def refuse_tag(self, event: NodeEvent, place: Place) -> None:
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
            shown = cut(str(tag).replace("tag:yaml.org,2002:", "!!"))
            self.report.error("yaml-tag", place, f"the tag {shown} has no meaning here: remove it")


def join(path: str, key: str) -> str:
    """`path.key`, or `key` alone at the top; a key of absurd length is cut."""
    return f"{path}.{cut(key)}" if path else cut(key)


def cut(word: str) -> str:
    """`word`, or the beginning of one that is absurdly long."""
    return word if len(word) <= _LONGEST_KEY else word[:_LONGEST_KEY] + "..."


def _place(event: Event, path: str) -> Place:
    mark = event.start_mark
    assert mark is not None
    return Place(mark.line + 1, mark.column + 1, path)


def _position(text: str, offset: int) -> tuple[int, int]:
    before = lines_of(text[:offset])
    return len(before), len(before[-1]) + 1


def _explain_syntax(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    """The parser's words, and what most often is behind them in a routing table."""
    lines = lines_of(text)
    here = lines[line - 1] if line <= len(lines) else ""
    began = error.context_mark.line + 1 if error.context_mark else line
    since = f" from line {began} on" if error.context and began != line else ""
    words = ", ".join(part for part in (f"{error.context or ''}{since}", error.problem) if part)
    hint = ""
    near = [one[:_LONGEST_LINE] for one in lines[max(0, line - 3) : line]]
    if "alias" in words:
        hint = 'a value that begins with * must be quoted, like "*.example.com"'
    elif eaten := next(filter(None, map(commented_placeholder, reversed(near))), None):
        hint = f'a value that begins with # is a comment: quote it, "{eaten}"'
    elif "\t" in here and here[:1].isspace():
        hint = "indent with spaces, not with tabs"
    elif any("${" in one for one in near):
        hint = 'inside { } and [ ] a reference must be quoted, like "${NAME}"'
    elif "cannot start any token" in words:
        hint = "quote the value"
    elif "mapping values are not allowed" in words:
        hint = "quote a value that contains a colon and a blank, and check the indentation"
    return f"this is not YAML: {words}" + (f" ({hint})" if hint else "")
