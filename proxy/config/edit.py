"""Changes weights in the text of a table; every other byte stays: comments, order, quoting, line ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from proxy.config.suggest import LONGEST_LIST, nearest

DEFAULT_RULE = "default"


class EditError(ValueError):
    """The change cannot be made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Change:
    start: int
    end: int
    text: str


def set_weights(text: str, rule: str, weights: Mapping[str, int], *, listener: str | None = None) -> str:
    """Return the text of a table in which the forward of `rule` has these weights.

    Groups that are not named keep their weight; one that the forward did not have is added to it.

    Args:
        text: A table that loads.
        rule: The rule's name as `strangler check` knows it: its `name`, `rule-<priority>`, or `default`.
        weights: Target group to weight, 0 to 999 (alb.md 3.1).
        listener: Its listener's name, needed only when several listeners have such a rule.

    Raises:
        EditError: There is no such rule, there are several, it does not forward, or its forward is an alias.
    """
    forward = _forward_node(_mapping(yaml.compose(text, Loader=yaml.SafeLoader)), rule, listener)
    if isinstance(forward, yaml.ScalarNode):
        merged = {forward.value: 1, **weights}
        # A single group has no weight to keep; beside another one it needs a number.
        rendered = ", ".join(f"{name}: {weight}" for name, weight in merged.items())
        changes = [_Change(forward.start_mark.index, forward.end_mark.index, f"{{{rendered}}}")]
    elif isinstance(forward, yaml.MappingNode):
        changes = _changes_to_mapping(text, forward, dict(weights))
    else:
        raise EditError(f"the forward of rule {rule!r} is neither a name nor a mapping")
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def _known(rule: str, names: list[str]) -> str:
    """A half sentence about the rules that there are."""
    if near := nearest(rule, names):
        return f"did you mean {near}?"
    distinct = list(dict.fromkeys(names))
    more = ", ..." if len(distinct) > LONGEST_LIST else ""
    return f"known: {', '.join(distinct[:LONGEST_LIST]) or 'none'}{more}"


def _changes_to_mapping(text: str, forward: yaml.MappingNode, weights: dict[str, int]) -> list[_Change]:
    changes = []
    for key, value in forward.value:
        if key.value in weights:
            weight = weights.pop(key.value)
            if value.value != str(weight):
                changes.append(_Change(value.start_mark.index, value.end_mark.index, str(weight)))
    if not weights:
        return changes
    last = forward.value[-1][1].end_mark.index
    if forward.flow_style:
        added = "".join(f", {name}: {weight}" for name, weight in weights.items())
        return [*changes, _Change(last, last, added)]
    indent = " " * forward.value[0][0].start_mark.column
    newline = text.find("\n", last)
    end = len(text) if newline < 0 else newline
    added = "".join(f"\n{indent}{name}: {weight}" for name, weight in weights.items())
    return [*changes, _Change(end, end, added)]


def _forward_node(root: yaml.MappingNode, rule: str, listener: str | None) -> yaml.Node:
    found: list[tuple[str, yaml.MappingNode]] = []
    names: list[str] = []
    listeners = _get(root, "listeners")
    for node in listeners.value if isinstance(listeners, yaml.SequenceNode) else ():
        its_name = _listener_name(node)
        if listener is not None and its_name != listener:
            continue
        for name, candidate in _rules(node):
            names.append(name)
            if name == rule:
                found.append((its_name, candidate))
    if not found:
        where = f" in listener {listener!r}" if listener is not None else ""
        raise EditError(f"there is no rule {rule!r}{where}; {_known(rule, names)}")
    if len(found) > 1:
        where = ", ".join(name for name, _ in found)
        raise EditError(f"several listeners have a rule {rule!r}: name one with --listener: {where}")
    forward = _get(found[0][1], "forward")
    if forward is None:
        raise EditError(f"rule {rule!r} does not forward, so it has no weights")
    if forward.start_mark.index < found[0][1].start_mark.index:
        raise EditError(f"the forward of rule {rule!r} is an alias of another one: write it out first")
    return forward


def _rules(listener: yaml.Node) -> list[tuple[str, yaml.MappingNode]]:
    found: list[tuple[str, yaml.MappingNode]] = []
    rules = _get(listener, "rules")
    for node in rules.value if isinstance(rules, yaml.SequenceNode) else ():
        name, priority = _get(node, "name"), _get(node, "priority")
        found.append((name.value if name else f"rule-{priority.value if priority else ''}", node))
    default = _get(listener, "default")
    if isinstance(default, yaml.MappingNode):
        found.append((DEFAULT_RULE, default))
    return found


def _listener_name(listener: yaml.Node) -> str:
    name, port, protocol = (_get(listener, key) for key in ("name", "port", "protocol"))
    if name is not None:
        return str(name.value)
    return f"{protocol.value.lower() if protocol else 'http'}-{port.value if port else ''}"


def _get(node: yaml.Node, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value  # type: ignore[no-any-return]
    return None


def _mapping(node: yaml.Node | None) -> yaml.MappingNode:
    if not isinstance(node, yaml.MappingNode):
        raise EditError("the file is not a table")
    return node
