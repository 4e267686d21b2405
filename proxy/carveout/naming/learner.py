"""Learns templates of paths from requests that were answered well: a literal must be earned.

A tree of segments counts what was seen. Three judgements make templates of it:

1.  A segment that looks like a number, an id, a date or an e-mail address is a value at once (`segments`).
2.  A word is a literal when it was seen often enough, by several clients, among siblings that are not mostly new.
3.  Siblings are values when they have something in common (the same method ends there, the same segment follows)
    and more of them were seen just once than a fixed set of routes would ever have left: of `m` equally popular ones
    at most `m / e` are, and fewer if their popularity differs. Names of people and things keep coming.

What values have in common is remembered: whatever has it later is a value, too. Those that have nothing in common with
the rest (`/users/by-email/...` beside `/users/{id}`) stay what they are. So names are merged at leisure, never split.

Source: docs/transactions.md, with the third judgement made for each thing in common and not for a node as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from proxy.carveout.naming.segments import EMAIL, ID, NAME, Segment, is_plain, is_value, segment
from proxy.carveout.naming.templates import Template

MAX_WORDS: Final = 128
"""Word children of a node; more are values, whatever they have in common."""
MAX_NODES: Final = 12_000
EARNED_REQUESTS: Final = 5
"""Requests after which a word may be a literal."""
TEMPLATE_REQUESTS: Final = 3
"""Requests after which a template has a name."""
OLD_REQUESTS: Final = 20_000
"""After so many requests (of any path) a node is judged by the little it has."""
MOSTLY_NEW: Final = 0.25
"""Above this share of unseen siblings no word is a literal yet."""
SEEN_ONCE: Final = 25
"""Siblings with something in common of which more were seen only once are values: sets of up to 68 routes are not."""
MIXED_EXTENSIONS: Final = 3
"""Values with so many different extensions are one kind."""

OUTSTANDING_REQUESTS: Final = 40
OUTSTANDING_STEP: Final = 4
"""A word that was asked for so often, and so much more often than the next, is no value among values."""
MIN_SIBLINGS: Final = 8
"""Words of a node that are looked at for values."""

ANY_WORD: Final = "/"
"""What siblings have in common when any word follows them."""


class Node:
    """A segment with what was seen below it."""

    __slots__ = (
        "checked",
        "children",
        "clients",
        "count",
        "first",
        "is_literal",
        "is_mixed",
        "leaves",
        "merged",
        "shared",
        "stays",
    )

    def __init__(self, first: int = 0) -> None:
        self.children: dict[str, Node] = {}
        self.leaves: dict[str, int] = {}
        self.clients: set[int] = set()
        self.count = 0
        self.checked = 0
        self.first = first
        self.is_literal = False
        self.stays = False
        """Whether it stays a literal among values."""
        self.shared: set[str] = set()
        """What the children have in common that are values though they look like words."""
        self.merged: set[str] = set()
        """Literals that turned out to be values, which they stay."""
        self.is_mixed = False
        """Whether the extensions of values say nothing."""

    def words(self) -> list[tuple[str, Node]]:
        """The children that must be earned."""
        return [item for item in self.children.items() if not is_plain(item[0])]

    def features(self) -> Iterator[tuple[str, int]]:
        """What can be in common with siblings, with how often it was seen: the method that ends here, what follows."""
        yield from self.leaves.items()
        for key, child in self.children.items():
            yield "/" + key, child.count

    def absorb(self, other: Node) -> None:
        """Take over all that was seen of another node."""
        self.count += other.count
        self.clients |= other.clients
        self.first = min(self.first, other.first)
        for method, count in other.leaves.items():
            self.leaves[method] = self.leaves.get(method, 0) + count
        for key, child in other.children.items():
            self.put(key, child)
        self.shared |= other.shared
        self.merged |= other.merged

    def put(self, key: str, child: Node) -> None:
        """Add a child; one that is there under this key takes it in."""
        mine = self.children.get(key)
        if mine is None:
            self.children[key] = child
        else:
            mine.absorb(child)

    def takes_as_value(self, text: str, follows: str) -> bool:
        """Whether a word is a value here, by what follows it."""
        return _is_in(follows, self.shared) or text in self.merged

    def value_key(self, kind: str) -> str:
        """The key under which a value of this kind is: where words are values, ids are words."""
        if self.is_mixed and kind[-1] != "}" and ":" not in kind:
            kind = kind[: kind.index("}") + 1]
        for special in (ID, EMAIL):
            if kind.startswith(special) and NAME + kind[len(special) :] in self.children:
                return NAME + kind[len(special) :]
        return kind


class Learner:
    """The tree of what was seen, in bounded memory.

    Args:
        distinct_clients: How many must have used a word before it is a literal.
    """

    def __init__(self, distinct_clients: int = 3) -> None:
        self._wanted_clients = distinct_clients
        self._root = Node()
        self._nodes = 1
        self._crowd: set[int] = set()
        self.requests = 0

    @property
    def needed_clients(self) -> int:
        """Fewer where there are no more: a service with two callers has names as well, after 500 requests."""
        if self.requests < 500:
            return self._wanted_clients
        return max(1, min(self._wanted_clients, len(self._crowd)))

    def observe(self, method: str, path: Sequence[Segment], client: int) -> None:
        """Note one request that was answered well; `client` is a hash."""
        self.requests += 1
        if len(self._crowd) < self._wanted_clients:
            self._crowd.add(client)
        node = self._root
        node.count += 1
        last = len(path) - 1
        for depth, (text, kind) in enumerate(path):
            follows = method if depth == last else "/" + (path[depth + 1][0] or path[depth + 1][1])
            child = self._step(node, text, kind, follows)
            if child is None:
                return
            node = child
            node.count += 1
            if len(node.clients) < self._wanted_clients:
                node.clients.add(client)
        node.leaves[method] = node.leaves.get(method, 0) + 1

    def _step(self, node: Node, text: str, kind: str, follows: str) -> Node | None:
        key = text
        if not text or (node.shared and text not in node.children and node.takes_as_value(text, follows)):
            key = node.value_key(kind)
        child = node.children.get(key)
        if child is None:
            if self._nodes >= MAX_NODES or len(node.children) >= 2 * MAX_WORDS:
                return None
            if not is_plain(key) and len(node.children) >= MAX_WORDS and len(node.words()) >= MAX_WORDS:
                self._make_room(node)
            child = node.children[key] = Node(self.requests)
            self._nodes += 1
        return child

    def seed(self, templates: Iterable[Template]) -> None:
        """Begin with templates that were learned before; they stay."""
        for template in templates:
            node = self._root
            for key in template.keys:
                node = node.children.setdefault(key, Node())
                node.count += max(template.requests, TEMPLATE_REQUESTS)
                node.is_literal = not is_plain(key)
            node.leaves[template.method] = max(template.requests, TEMPLATE_REQUESTS)
        self._nodes = sum(1 for _ in _walk(self._root))

    # The judgements

    def judge(self, *, at_leisure: bool = False) -> None:
        """Merge what proved to be values. `at_leisure`, no more requests are waited for."""
        for node in list(_walk(self._root)):
            # What grew little since it was last looked at is not looked at again.
            if node.children and (at_leisure or node.count > node.checked * 1.1 + 4):
                node.checked = node.count
                is_old = at_leisure or self.requests - node.first > OLD_REQUESTS
                self._judge(node, is_old)
        self._nodes = sum(1 for _ in _walk(self._root))
        if self._nodes > MAX_NODES * 3 // 4:
            _prune(self._root)
            self._nodes = sum(1 for _ in _walk(self._root))

    def _judge(self, node: Node, is_old: bool) -> None:
        words = node.words()
        if len(words) > MIN_SIBLINGS:
            node.shared |= _shared_by_values(words, is_old)
        self._merge(node)
        _unite_kinds(node)

    def _merge(self, node: Node) -> None:
        if not node.shared:
            return
        values = []
        for key, child in node.words():
            inside = sum(count for feature, count in child.features() if _is_in(feature, node.shared))
            if not child.stays and (inside >= child.count * 0.5 or (inside and not self._is_earned(child))):
                values.append((key, child))
        values.sort(key=lambda item: -item[1].count)
        # Later there is nothing to compare with: the popular values are gone from among the words.
        is_first = len(values) > SEEN_ONCE and not any(key.startswith(NAME) for key in node.children)
        outstanding = self._outstanding([child for _, child in values]) if is_first else 0
        for key, child in values[outstanding:]:
            del node.children[key]
            if child.is_literal:
                node.merged.add(key)
            node.put(node.value_key(_kind_of(key)), child)

    def _outstanding(self, children: list[Node]) -> int:
        """How many stand out of what else would be values: `me` is asked for more often than any name of a person.

        In Zipf's law one is about twice as popular as the next; a step that is much higher ends the literals.
        """
        known = 0
        for number, (child, following) in enumerate(pairwise(children), 1):
            if child.count < OUTSTANDING_REQUESTS or not self._is_earned(child):
                break
            if child.count >= OUTSTANDING_STEP * following.count:
                known = number
        for child in children[:known]:
            child.stays = True
        return known

    def _make_room(self, node: Node) -> None:
        """More words than a node may have: what most of them share makes them values, and the rarest are forgotten."""
        self._judge(node, is_old=True)
        words = node.words()
        if len(words) < MAX_WORDS:
            return
        unearned = [child for _, child in words if not self._is_earned(child)] or [child for _, child in words]
        holders = Counter(
            feature
            for child in unearned
            for feature in {ANY_WORD if _is_word(feature) else feature for feature, _ in child.features()}
        )
        node.shared.update(feature for feature, count in holders.items() if count >= len(unearned) / 10)
        self._merge(node)
        words = sorted(node.words(), key=lambda item: item[1].count)
        for key, _ in words[: max(len(words) - MAX_WORDS * 3 // 4, 0)]:
            del node.children[key]

    def _is_earned(self, child: Node) -> bool:
        return child.is_literal or (child.count >= EARNED_REQUESTS and len(child.clients) >= self.needed_clients)

    # What was learned

    def templates(self) -> list[Template]:
        """Every template that has a name by now, those seen most first."""
        found: list[Template] = []
        stack: list[tuple[Node, tuple[str, ...]]] = [(self._root, ())]
        while stack:
            node, keys = stack.pop()
            for method, count in node.leaves.items():
                if count >= TEMPLATE_REQUESTS:
                    found.append(Template(method, keys, "learned", count))
            self._earn(node)
            for key, child in node.children.items():
                if is_plain(key) or child.is_literal:
                    stack.append((child, (*keys, key)))
        return sorted(found, key=lambda template: (-template.requests, template.name))

    def _earn(self, node: Node) -> None:
        candidates = [child for _, child in node.words() if not child.is_literal and self._is_earned(child)]
        if not candidates:
            return
        words = [child for _, child in node.words()]
        once = sum(1 for child in words if child.count == 1)
        if (once + 1) / (sum(child.count for child in words) + 1) >= MOSTLY_NEW:
            return
        families = _families(words)
        for child in candidates:
            child.is_literal = _novelty(child, families) < MOSTLY_NEW


class _Family:
    """Siblings that have something in common: how many they are, their requests, and how many were seen once."""

    __slots__ = ("members", "once", "requests")

    def __init__(self) -> None:
        self.members = self.requests = self.once = 0


def _families(words: Iterable[Node]) -> dict[str, _Family]:
    families: dict[str, _Family] = {}
    for child in words:
        for feature, count in child.features():
            family = families.setdefault(feature, _Family())
            family.members += 1
            family.requests += count
            family.once += count == 1
    return families


def _novelty(child: Node, families: dict[str, _Family]) -> float:
    """How new the siblings are that are like this one: the share of those seen once, by what they have in common."""
    unseen = 0.0
    for feature, count in child.features():
        family = families[feature]
        if family.members > 3:
            unseen += count * family.once / family.requests
    return unseen / child.count


def _kind_of(key: str) -> str:
    """The value that a word would be an instance of."""
    return key if is_value(key) else segment(key.encode())[1]


def _is_word(feature: str) -> bool:
    return feature[0] == "/" and feature != ANY_WORD and not is_value(feature[1:])


def _is_in(feature: str, shared: set[str]) -> bool:
    return feature in shared or (_is_word(feature) and ANY_WORD in shared)


def _shared_by_values(words: list[tuple[str, Node]], is_old: bool) -> set[str]:
    """What words have in common that proved to be values."""
    children = [child for _, child in words]
    families = _families(children)
    # That any word follows is only in common where it is another one each time: `/{owner}/{repository}`. Where the
    # same few follow, as in `/{tenant}/settings`, each of these is in common.
    any_word = families[ANY_WORD] = _Family()
    for child in children:
        following = [(feature, count) for feature, count in child.features() if _is_word(feature)]
        any_word.requests += sum(count for _, count in following)
        any_word.once += [count for _, count in following] == [1] and families[following[0][0]].members == 1
    return {feature for feature, family in families.items() if _are_values(family.requests, family.once, is_old)}


def _are_values(requests: int, once: int, is_old: bool) -> bool:
    """Whether more siblings were seen just once, in so many requests, than of a fixed set would have been."""
    return once > SEEN_ONCE or (is_old and once > SEEN_ONCE // 2 and once > 0.4 * requests)


def _unite_kinds(node: Node) -> None:
    """Ids beside names are names that look like ids; many extensions are part of the name."""
    if not node.is_mixed:
        suffixes = {key.partition("}")[2] for key in node.children if is_plain(key) and key[-1] != "}"}
        node.is_mixed = len(suffixes) >= MIXED_EXTENSIONS
    for key in [key for key in node.children if is_plain(key)]:
        if node.value_key(key) != key:
            node.put(node.value_key(key), node.children.pop(key))


def _walk(root: Node) -> Iterator[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.children.values())


def _prune(root: Node) -> None:
    """Forget what was seen once."""
    for node in list(_walk(root)):
        for key in [key for key, child in node.children.items() if child.count <= 1]:
            del node.children[key]
