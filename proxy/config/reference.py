"""Every key of `routes.yaml` as Markdown, from the JSON Schema: what docs and README show of the language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.config.records import NOT_YET

Schema = dict[str, Any]


_SINGULAR = {
    "listeners": "a listener",
    "rules": "a rule",
    "target_groups": "a target group",
    "conditions": "a condition",
    "certificates": "a certificate",
    "transforms": "a transform",
}


def reference(schema: Schema) -> str:
    """A table of the keys of each mapping, in the order of the file."""
    return "\n\n".join(f"### {title[0].upper()}{title[1:]}\n\n{_table(keys)}" for title, keys in _mappings(schema))


def not_supported_yet(schema: Schema) -> str:
    """A table of the keys that are refused unless they have the load balancer's default."""
    rows = ["| where | key | meaning |", "| --- | --- | --- |"]
    for title, keys in _mappings(schema):
        for name, value in keys.items():
            about = value.get("description", "")
            if about.endswith(NOT_YET):
                rows.append(f"| {title} | `{name}` | {_escaped(about.removesuffix(NOT_YET).strip())} |")
    return "\n".join(rows)


def _mappings(schema: Schema) -> Iterator[tuple[str, dict[str, Schema]]]:
    yield from _of("the file", "the file", schema, set())


def _of(title: str, parent: str, schema: Schema, seen: set[frozenset[str]]) -> Iterator[tuple[str, dict[str, Schema]]]:
    """Each mapping with known keys, those that hold others first. What stands in several places is shown once."""
    keys: dict[str, Schema] | None = schema.get("properties")
    if keys is not None:
        if frozenset(keys) in seen:
            return
        seen.add(frozenset(keys))
        yield title, keys
        for name, value in keys.items():
            inner = _SINGULAR.get(name, f"`{name}` of {title}")
            yield from _of(inner, title, value, seen)
    for part in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from _of(title, parent, part, seen)
    for choice in ("oneOf", "anyOf"):
        for part in schema.get(choice, ()):
            yield from _of(title, parent, part, seen)


def _table(keys: dict[str, Schema]) -> str:
    rows = ["| key | meaning | default |", "| --- | --- | --- |"]
    for name, value in keys.items():
        default = value.get("default")
        shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        rows.append(f"| `{name}` | {_escaped(value.get('description', ''))} | {shown} |")
    return "\n".join(rows)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
