"""Adds names to the `transactions` of a table's text; every other byte stays."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from proxy.config.edit import EditError


def add_transaction_names(text: str, names: Sequence[str]) -> str:
    """Return the text of a table that gives these names as well; those that it has are not written again.

    Args:
        text: A table that loads.
        names: Each a method and a path, `GET /orders/{id}`.

    Raises:
        EditError: `transactions` or its `names` is an alias.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise EditError("the file is not a table")
    section = _value(root, "transactions")
    if section is None:
        if root.flow_style:
            at = root.value[-1][1].end_mark.index
            return f'{text[:at]}, "transactions": {{"names": {json.dumps(list(names))}}}{text[at:]}'
        return _with_line_end(text) + "\ntransactions:\n  names:\n" + _items(names, 4)
    if not isinstance(section, yaml.MappingNode):
        raise EditError("transactions is no mapping: write it out first")
    listed = _value(section, "names")
    if listed is None:
        return _insert_key(text, section, names)
    if not isinstance(listed, yaml.SequenceNode):
        raise EditError("the names of transactions are no list: write them out first")
    known = {item.value for item in listed.value}
    return _append(text, listed, [name for name in names if name not in known])


def _insert_key(text: str, section: yaml.MappingNode, names: Sequence[str]) -> str:
    if section.flow_style or not section.value:
        at = section.start_mark.index + 1
        comma = ", " if section.value else ""
        return f'{text[:at]}"names": {json.dumps(list(names))}{comma}{text[at:]}'
    column = section.start_mark.column
    at = section.start_mark.index - column
    return text[:at] + " " * column + "names:\n" + _items(names, column + 2) + text[at:]


def _append(text: str, listed: yaml.SequenceNode, names: Sequence[str]) -> str:
    if not names:
        return text
    if listed.flow_style:
        at = listed.value[-1].end_mark.index if listed.value else listed.start_mark.index + 1
        comma = ", " if listed.value else ""
        return text[:at] + comma + ", ".join(map(json.dumps, names)) + text[at:]
    last = listed.value[-1].end_mark.index
    end = text.find("\n", last)
    end = len(text) if end < 0 else end
    return text[:end] + "\n" + _items(names, listed.start_mark.column).rstrip("\n") + text[end:]


def _items(names: Sequence[str], column: int) -> str:
    return "".join(f"{' ' * column}- {json.dumps(name)}\n" for name in names)


def _with_line_end(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _value(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    for name, value in node.value:
        if name.value == key:
            if value.start_mark.index < name.start_mark.index:
                raise EditError(f"{key} is an alias of something else: write it out first")
            found: yaml.Node = value
            return found
    return None
