"""What the monolith computes for every request, computed once: similarities, baskets, social graph."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain, combinations
from typing import NamedTuple


class RankedFriend(NamedTuple):
    """A friend of friends with their score."""

    user_id: int
    mutual_friends: int
    score: int


class Index:
    """Answers in memory; immutable once built, so any number of requests may share it.

    Scores are sums of whole numbers and therefore equal to the monolith's, whatever the order of summation.

    Args:
        user_ids: All users; ids are small, since lists are indexed by them.
        purchases: (user id, product id), each pair once.
        friendships: (user id, friend id), each friendship in both directions.
    """

    def __init__(
        self,
        user_ids: Iterable[int],
        purchases: Iterable[tuple[int, int]],
        friendships: Iterable[tuple[int, int]],
    ) -> None:
        self._baskets: dict[int, set[int]] = {user_id: set() for user_id in user_ids}
        self._friends: dict[int, set[int]] = {user_id: set() for user_id in self._baskets}
        for user_id, product_id in purchases:
            self._baskets[user_id].add(product_id)
        for user_id, friend_id in friendships:
            self._friends[user_id].add(friend_id)
        self._buyers = Counter(chain.from_iterable(self._baskets.values()))
        self._similar = _similarities(self._baskets.values(), self._buyers)

    def has_user(self, user_id: int) -> bool:
        """Tell whether the user is known here."""
        return user_id in self._baskets

    def products_for(self, user_id: int, limit: int) -> list[tuple[int, int]]:
        """Return the best (product id, score); who has bought nothing gets what most have bought."""
        owned = self._baskets[user_id]
        scores: Counter[int] = Counter() if owned else self._buyers
        for product_id in owned:
            for other, similarity in self._similar[product_id].items():
                if other not in owned:
                    scores[other] += similarity
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]

    def friends_for(self, user_id: int, limit: int) -> list[RankedFriend]:
        """Return the best friends of friends: mutual friends, walks of three steps, shared taste."""
        mine, basket = self._friends[user_id], self._baskets[user_id]
        mutual: Counter[int] = Counter()
        closeness: Counter[int] = Counter()
        for friend_id in mine:
            theirs = self._friends[friend_id]
            mutual.update(theirs)
            weight = 1_000_000 // len(theirs)
            for other in theirs:
                closeness[other] += weight
        walks_of_two = dict.fromkeys(self._friends, 0) | mutual
        ranked = [
            RankedFriend(
                candidate,
                mutual[candidate],
                score=closeness[candidate]
                + 100 * sum(map(walks_of_two.__getitem__, self._friends[candidate]))
                + 10_000 * len(basket & self._baskets[candidate]),
            )
            for candidate in mutual.keys() - mine - {user_id}
        ]
        return sorted(ranked, key=lambda friend: (-friend.score, friend.user_id))[:limit]


def _similarities(baskets: Iterable[set[int]], buyers: Mapping[int, int]) -> dict[int, dict[int, int]]:
    """Return the squared cosine of every two products bought together, in millionths."""
    together: Counter[tuple[int, int]] = Counter()
    for basket in baskets:
        together.update(combinations(sorted(basket), 2))
    similar: dict[int, dict[int, int]] = {product_id: {} for product_id in buyers}
    for (one, other), count in together.items():
        similarity = 1_000_000 * count * count // (buyers[one] * buyers[other])
        similar[one][other] = similar[other][one] = similarity
    return similar
