"""The rules of a candidate as YAML for `routes.yaml`, with a name and a priority that are free in the table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from proxy.carveout.ranking.bundles import resource_of, split_name
from proxy.carveout.ranking.cover import Cover
from proxy.carveout.ranking.shapes import RuleShape
from proxy.config.model import Config, ForwardConfig, ListenerConfig, RuleConfig
from proxy.config.problem import ConfigError
from proxy.rules.compile import compile_table
from proxy.rules.request import RequestView
from proxy.rules.table import Table

LAST_PRIORITY: Final = 50_000
STEP: Final = 10
"""Between the last rule and a new one; leaves room for later rules."""
LONGEST_GROUP_NAME: Final = 32


@dataclass(frozen=True, slots=True)
class Paste:
    """What to put where.

    Attributes:
        rule: Items for a listener's `rules:`; empty when the table has this rule already.
        target_group: An entry for `target_groups:`; empty when the table has the group already.
        listener: Whose rules; empty when no table is known.
        note: What to mind; empty if nothing.
    """

    rule: str
    target_group: str
    listener: str = ""
    note: str = ""


@dataclass(slots=True)
class Paster:
    """Writes rules for one table; each candidate's stand for themselves, as if the others were not pasted.

    Args:
        config: The table that serves, None when it is not known: priorities then begin at 10.
        known: All transactions of the monolith, to see what else a rule of the table takes.
    """

    config: Config | None
    known: Sequence[str] = ()
    _tables: dict[str, Table] = field(default_factory=dict)

    def paste(self, cover: Cover, transactions: Sequence[str], monolith: str) -> Paste | None:
        """The rules of a cover; None when it has none.

        Args:
            transactions: Of the candidate, for its name and to see which rule takes it now.
            monolith: The target group that serves them now.
        """
        if not cover.rules:
            return None
        service = service_name(transactions)
        target_group = ""
        taken_by: int | None = None
        listener = None
        if self.config is not None:
            listener, taken_by = self._where(transactions, monolith, self.config)
        if listener is not None and taken_by is not None:
            there = listener.rules[taken_by]
            says_the_same = len(cover.rules) == 1 and _says_the_same(there, cover.rules[0], transactions)
            if says_the_same or self._takes_just(listener, taken_by, transactions):
                return Paste("", "", listener.name, _already(there))
        known = self.config.target_groups if self.config else {}
        if listener is not None and monolith in known and (moved := self._moved_by(listener, transactions, monolith)):
            return Paste("", "", listener.name, moved)
        if service == monolith:
            service = f"{service}-service"[:LONGEST_GROUP_NAME]
        if service not in known:
            target_group = (
                f"{service}:\n  targets: [http://{service}:8000]   # where the new service listens\n"
                "  health_check: {path: /health}\n"
            )
        rules = list(cover.rules)
        names = _free_names(service, len(rules), listener)
        priorities, note = _free_priorities(listener, taken_by, len(rules))
        weights = {monolith: 100, service: 0}
        if listener is not None:
            weights = self._weights_now(listener, transactions, service) or weights
        texts = [
            _rule_text(rule, name, priority, weights, service, monolith)
            for rule, name, priority in zip(rules, names, priorities, strict=True)
        ]
        return Paste("".join(texts), target_group, listener.name if listener else "", note)

    def _where(self, transactions: Sequence[str], monolith: str, config: Config) -> tuple[ListenerConfig, int | None]:
        """The listener whose rules send these transactions to the monolith, and the earliest such rule's index."""
        views = [view for view in map(_view_of, transactions) if view is not None]
        for listener in config.listeners:
            table = self._table(listener)
            if table is None:
                continue
            takers = [table.evaluate(view) for view in views]
            indices = [taker.index for taker in takers if taker.priority is not None]
            if indices:
                return listener, min(indices)
            if takers and monolith in _groups(listener):
                return listener, None
        return config.listeners[0], None

    def _takes_just(self, listener: ListenerConfig, index: int, transactions: Sequence[str]) -> bool:
        """Whether a rule takes all these transactions, whatever else is in a request, and none of the other known."""
        table = self._table(listener)
        fields = {condition.field for condition in listener.rules[index].conditions}
        if table is None or not fields <= {"path-pattern", "http-request-method"}:
            return False
        views = {name: view for name in (*self.known, *transactions) if (view := _view_of(name)) is not None}
        taken = {name for name, view in views.items() if table.evaluate(view).index == index}
        return bool(self.known) and taken == set(transactions)

    def _moved_by(self, listener: ListenerConfig, transactions: Sequence[str], monolith: str) -> str:
        """What to say if the rules that take these transactions send none of them to the monolith; else nothing.

        A request of which only method and path are known does not tell apart what earlier rules take by host or header.
        """
        table = self._table(listener)
        views = [view for view in map(_view_of, transactions) if view is not None]
        takers = {one.name: one for one in map(table.evaluate, views)} if table else {}
        actions = [
            listener.default if one.priority is None else listener.rules[one.index].action for one in takers.values()
        ]
        if not actions or any(not isinstance(one, ForwardConfig) or dict(one.weights).get(monolith) for one in actions):
            return ""
        return (
            f"rule {' and '.join(map(repr, takers))} sends none of these requests to {monolith} any more: what it "
            "served was before the shift, or is taken by other rules, by host, header, query or address"
        )

    def _weights_now(
        self, listener: ListenerConfig, transactions: Sequence[str], service: str
    ) -> dict[str, int] | None:
        """How these transactions are split already, with the service in it, so that a new rule shifts nothing.

        None where they are not split, or not all in the same way.
        """
        table = self._table(listener)
        views = [view for view in map(_view_of, transactions) if view is not None]
        takers = [table.evaluate(view) for view in views] if table else []
        actions = [listener.default if one.priority is None else listener.rules[one.index].action for one in takers]
        splits = {one.weights if isinstance(one, ForwardConfig) else () for one in actions}
        weights = dict(splits.pop()) if len(splits) == 1 else {}
        return {**weights, service: weights.get(service, 0)} if len(weights) > 1 else None

    def _table(self, listener: ListenerConfig) -> Table | None:
        if listener.name not in self._tables:
            try:
                self._tables[listener.name] = compile_table(listener)
            except ConfigError:  # whoever serves the table reports it
                return None
        return self._tables[listener.name]


def service_name(transactions: Sequence[str]) -> str:
    """A name for rule and target group, from the resource of the first transaction: `orders`."""
    for name in transactions:
        split = split_name(name)
        if split is not None:
            resource = resource_of(split[1]) or re.sub(r"\{[^{}/]*\}", "", split[1])
            words = [word for word in re.split(r"[^a-z0-9]+", resource.lower()) if word]
            if words:
                return words[-1][:LONGEST_GROUP_NAME].strip("-")
    return "carved-out"


def _says_the_same(there: RuleConfig, shape: RuleShape, transactions: Sequence[str]) -> bool:
    """Whether a rule of the table takes these transactions by the same paths, and no more than their methods."""
    methods = {split[0] for name in transactions if (split := split_name(name))}
    theirs = {one.field: frozenset(one.values or one.regex_values) for one in there.conditions}
    return (
        len(theirs) == len(there.conditions)
        and theirs.pop("path-pattern", None) == frozenset(shape.values)
        and theirs in ({}, {"http-request-method": methods})
    )


def _already(rule: RuleConfig) -> str:
    weights = rule.action.weights if isinstance(rule.action, ForwardConfig) else ()
    todo = "shift its weights" if len(weights) > 1 else "forward it to the new service"
    return f"rule {rule.name!r} takes exactly these requests already: {todo}"


def _groups(listener: ListenerConfig) -> set[str]:
    actions = [listener.default, *(rule.action for rule in listener.rules)]
    return {name for action in actions for name, _ in getattr(action, "weights", ())}


def _view_of(name: str) -> RequestView | None:
    """A request of this transaction, its parameters filled in."""
    split = split_name(name)
    if split is None:
        return None
    method, path = split
    return RequestView.of(method, quote(re.sub(r"\{[^{}/]*\}", "1", path)), [("Host", "localhost")])


def _free_names(service: str, count: int, listener: ListenerConfig | None) -> list[str]:
    taken = {rule.name for rule in listener.rules} if listener else set()
    names: list[str] = []
    number = 1
    while len(names) < count:
        name = service if number == 1 else f"{service}-{number}"
        number += 1
        if name not in taken:
            names.append(name)
    return names


def _free_priorities(listener: ListenerConfig | None, taken_by: int | None, count: int) -> tuple[list[int], str]:
    """Priorities in a row that no rule has: before the rule that takes the requests now, else behind the last.

    Where there is no room right before that rule, the nearest room above it is taken, and the note says so.
    """
    rules = listener.rules if listener else ()
    if taken_by is None:
        last = rules[-1].priority if rules else 0
        if last + STEP * count <= LAST_PRIORITY:
            return [last + STEP * (number + 1) for number in range(count)], ""
        taken_by = len(rules)
    for index in range(taken_by, -1, -1):
        above = rules[index].priority if index < len(rules) else LAST_PRIORITY + 1
        below = rules[index - 1].priority if index else 0
        if above - below > count:
            step = (above - below) // (count + 1)
            note = ""
            if index < taken_by:
                note = (
                    f"there is no free priority right before rule {rules[taken_by - 1].name!r}: these stand before it "
                    "and take its requests, too, where both fit; or number the rules anew"
                )
            return [below + step * (number + 1) for number in range(count)], note
    free = [priority for priority in range(1, LAST_PRIORITY) if priority not in {rule.priority for rule in rules}]
    return free[:count], "there is no room for these rules in a row: number the rules anew"


def _rule_text(
    rule: RuleShape, name: str, priority: int, weights: Mapping[str, int], service: str, monolith: str
) -> str:
    values = ", ".join(map(_quoted, rule.values))
    paths = f"[{values}]" if rule.kind == "pattern" else f"{{regex: [{values}]}}"
    lines = [f"- name: {name}", f"  priority: {priority}", "  conditions:", f"    - path-pattern: {paths}"]
    if rule.methods:
        lines.append(f"    - http-request-method: [{', '.join(rule.methods)}]")
    if rule.stays:
        lines += ["  # stays: the next rule would take it, too", f"  forward: {monolith}"]
    else:
        split = ", ".join(f"{group}: {weight}" for group, weight in weights.items())
        lines += [f"  # shift when {service} is ready", f"  forward: {{{split}}}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
