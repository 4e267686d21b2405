"""Names as templates of paths, and the tree that finds the one for a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from proxy.carveout.naming.segments import DATE, EMAIL, ID, MAX_DEPTH, NAME, REST, Segment, is_value, pattern_of

UNMATCHED: Final = "{unmatched}"
"""The name of what has no name: paths that never were answered well, or not often enough."""
OTHER: Final = "{other}"
"""The name of what has one, when there are too many names already."""
ANY_METHOD: Final = "*"

Source = Literal["learned", "pinned", "openapi"]


@dataclass(frozen=True, slots=True)
class Template:
    """A name and what it stands for.

    Attributes:
        method: A known verb, `OTHER`, or `*` for a pattern that is given for any.
        keys: The segments: literals, or placeholders in braces.
        requests: How many requests it was learned from; 0 for a given one.
    """

    method: str
    keys: tuple[str, ...]
    source: Source = "learned"
    requests: int = 0

    @property
    def pattern(self) -> str:
        """The path, `/orders/{id}`; a learned `{name}` is shown as `{id}`, so that a name does not change with it."""
        path = "/" + "/".join(self.keys)
        return path.replace(NAME, ID) if self.source == "learned" else path

    @property
    def name(self) -> str:
        return f"{self.method} {self.pattern}"

    @property
    def regex(self) -> str:
        """Matches whole paths as sent, without their query, in the syntax that RE2 and Python share.

        A path may match several templates: the first in the order of `Namer.templates` names it.
        """
        if self.source != "learned":
            return given_regex(self.keys)
        # As `segments` has it: empty segments and path parameters say nothing.
        body = "".join(
            f"/+{pattern_of(key)}(?:;[^/]*)?" if key != REST else f"/+{pattern_of(key)}" for key in self.keys
        )
        return f"{body}/*" if self.keys else "/*"

    @property
    def example(self) -> bytes:
        """A path that it names, or that what took its place names."""
        values = {ID: "0", NAME: "0", DATE: "2000-01-01", EMAIL: "a@example.com", REST: "/".join("0" * MAX_DEPTH)}
        path = self.pattern
        for kind, value in values.items():
            path = path.replace(kind, value)
        return path.encode()

    def as_json(self) -> dict[str, Any]:
        return {"method": self.method, "keys": list(self.keys), "source": self.source, "requests": self.requests}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Template:
        """Raise KeyError, TypeError or AttributeError for what `as_json` does not make."""
        keys = tuple(str(key) for key in data["keys"])
        if not all(keys):
            raise TypeError("an empty segment")
        source: Source = data["source"] if data["source"] in ("pinned", "openapi") else "learned"
        return cls(str(data["method"]), keys, source, int(data["requests"]))


def in_order(templates: Iterable[Template]) -> list[Template]:
    """Those that must be tried first come first: a literal before a kind of value before any value."""
    rank = {ID: 1, DATE: 1, EMAIL: 1, NAME: 2, REST: 3}

    def order(template: Template) -> tuple[object, ...]:
        # A value with an extension is also one without.
        ranks = [
            (rank.get(key.partition("}")[0] + "}", 2), key.endswith("}")) if is_value(key) else (0, False)
            for key in template.keys
        ]
        return template.source == "learned", ranks, template.keys, template.method

    return sorted(templates, key=order)


class _Node:
    __slots__ = ("children", "names")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.names: dict[str, str] = {}


class TemplateTree:
    """Finds the learned template of a path. It does not change: a new one is built and takes its place.

    Args:
        limit: How many names it gives; what is found beyond is named `{other}`.
    """

    def __init__(self, templates: Sequence[Template] = (), limit: int = 2000) -> None:
        self._root = _Node()
        self.names = {template.name for template in templates[:limit]}
        self.overflow = max(len(templates) - limit, 0)
        for number, template in enumerate(templates):
            node = self._root
            for key in template.keys:
                node = node.children.setdefault(key, _Node())
            node.names[template.method] = template.name if number < limit else OTHER

    def find(self, method: str, path: Sequence[Segment]) -> str | None:
        return _find(self._root, method, path, 0)


def _find(node: _Node, method: str, path: Sequence[Segment], depth: int) -> str | None:
    """Depth first, the most literal way first; no node is visited twice, since each has one way that leads to it."""
    if depth == len(path):
        return node.names.get(method)
    for key in ways(*path[depth]):
        child = node.children.get(key)
        if child is not None:
            name = _find(child, method, path, depth + 1)
            if name is not None:
                return name
    return None


def ways(text: str, kind: str) -> Iterator[str]:
    """The keys under which a segment may be found, the most literal first: names may look like ids."""
    if text:
        yield text
    yield kind
    stem, _, suffix = kind.partition("}")
    if stem in ("{id", "{email"):
        yield NAME + suffix
    if suffix:
        yield stem + "}"
        yield NAME


# Given patterns: any name in braces, also within a segment, and a last * for all that follows.

_PLACEHOLDER: Final = re.compile(r"\{[^{}/]*\}")


def given_regex(keys: Sequence[str]) -> str:
    """The regular expression of a pattern that was given."""
    parts = []
    for key in keys:
        if key == "*":
            parts.append("(?:/.*)?")
            continue
        literals = [re.escape(literal) for literal in _PLACEHOLDER.split(key)]
        parts.append("/" + "[^/]+".join(literals))
    return "".join(parts) + "/?" if parts and not parts[-1].endswith("?") else "".join(parts) or "/"


class _GivenNode:
    __slots__ = ("any", "children", "names", "partial", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _GivenNode] = {}
        self.partial: list[tuple[str, re.Pattern[str], _GivenNode]] = []
        self.any: _GivenNode | None = None
        self.names: dict[str, Template] = {}
        self.rest: dict[str, Template] = {}


class GivenPatterns:
    """Finds the pattern that was given for a path; a literal wins over a placeholder, and that over a last `*`."""

    def __init__(self, templates: Sequence[Template] = ()) -> None:
        self._root = _GivenNode()
        self.is_empty = not templates
        for template in templates:
            self._add(template)

    def _add(self, template: Template) -> None:
        node = self._root
        for key in template.keys:
            if key == "*":
                node.rest.setdefault(template.method, template)
                return
            node = _given_child(node, key)
        node.names.setdefault(template.method, template)

    def find(self, method: str, path: bytes) -> str | None:
        if self.is_empty:
            return None
        found = _find_given(self._root, method, path.decode("latin-1").strip("/").split("/", 64), 0)
        return f"{method} {found.pattern}" if found else None


def _given_child(node: _GivenNode, key: str) -> _GivenNode:
    if _PLACEHOLDER.fullmatch(key):
        node.any = node.any or _GivenNode()
        return node.any
    if "{" not in key:
        return node.children.setdefault(key, _GivenNode())
    for known, _, child in node.partial:
        if known == key:
            return child
    child = _GivenNode()
    node.partial.append((key, re.compile(given_regex([key])[1:-2]), child))
    return child


def _find_given(node: _GivenNode, method: str, path: Sequence[str], depth: int) -> Template | None:
    if depth == len(path) or path == [""]:
        found = node.names.get(method) or node.names.get(ANY_METHOD)
    else:
        part = path[depth]
        found = None
        nodes = [node.children.get(part), *(child for _, regex, child in node.partial if regex.fullmatch(part))]
        for child in (*nodes, node.any if part else None):
            if child is not None and found is None:
                found = _find_given(child, method, path, depth + 1)
    return found or node.rest.get(method) or node.rest.get(ANY_METHOD)
