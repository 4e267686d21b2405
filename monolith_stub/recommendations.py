"""Recommendations: friends of friends, and products bought together. Computed anew for every request."""

import itertools
import sqlite3
from collections import Counter, defaultdict
from typing import Any

from fastapi import APIRouter

from monolith_stub.api import Here, Id, Limit, not_found

router = APIRouter(prefix="/api/recommendations", tags=["recommendations"])

# All scores are sums of whole numbers, so that they do not depend on the order of summation.
_FRIENDS = """
WITH
mine AS MATERIALIZED (SELECT friend_id AS id FROM friendships WHERE user_id = :user_id),
basket AS MATERIALIZED (
    SELECT DISTINCT product_id FROM orders JOIN order_lines ON order_lines.order_id = orders.id
    WHERE orders.user_id = :user_id),
near AS MATERIALIZED (
    SELECT second.friend_id AS id, COUNT(*) AS mutual_friends,
        SUM(1000000 / (SELECT COUNT(*) FROM friendships AS every WHERE every.user_id = mine.id)) AS closeness
    FROM mine JOIN friendships AS second ON second.user_id = mine.id
    GROUP BY second.friend_id),
far AS MATERIALIZED (
    SELECT third.friend_id AS id, COUNT(*) AS walks
    FROM mine JOIN friendships AS second ON second.user_id = mine.id
    JOIN friendships AS third ON third.user_id = second.friend_id
    GROUP BY third.friend_id)
SELECT users.id, users.name, near.mutual_friends, near.closeness + 100 * COALESCE(far.walks, 0) + 10000 * (
    SELECT COUNT(DISTINCT order_lines.product_id)
    FROM orders JOIN order_lines ON order_lines.order_id = orders.id
    WHERE orders.user_id = near.id AND order_lines.product_id IN (SELECT product_id FROM basket)) AS score
FROM near JOIN users ON users.id = near.id LEFT JOIN far ON far.id = near.id
WHERE near.id != :user_id AND near.id NOT IN (SELECT id FROM mine)
ORDER BY score DESC, users.id LIMIT :limit
"""


@router.get("/users/{user_id}/friends")
def recommend_friends(user_id: Id, shop: Here, limit: Limit = 10) -> dict[str, Any]:
    """Rank friends of friends.

    A mutual friend counts the more the fewer friends they have (Adamic and Adar, Social Networks 2003,
    with 1/degree for 1/log degree); each walk of three steps counts a little (Katz, Psychometrika 1953),
    and each product that both have bought.
    """
    with shop.database.read() as connection:
        _require_user(connection, user_id)
        rows = connection.execute(_FRIENDS, {"user_id": user_id, "limit": limit}).fetchall()
    return {"user_id": user_id, "friends": [dict(row) for row in rows]}


@router.get("/users/{user_id}/products")
def recommend_products(user_id: Id, shop: Here, limit: Limit = 10) -> dict[str, Any]:
    """Rank products by how often they are bought by those who bought what this user has.

    Item-item collaborative filtering with the squared cosine as similarity (Sarwar et al., WWW 2001). The
    matrix is built from all orders in every request. Who has bought nothing is shown what most have bought.
    """
    with shop.database.read() as connection:
        _require_user(connection, user_id)
        baskets: dict[int, set[int]] = defaultdict(set)
        for buyer_id, product_id in connection.execute(
            "SELECT user_id, product_id FROM orders JOIN order_lines ON order_id = orders.id"
        ):
            baskets[buyer_id].add(product_id)
        scores = score_products(baskets, user_id)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
        products = [
            {
                **dict(
                    connection.execute(
                        "SELECT id, name, category, price_cents FROM products WHERE id = ?", (product_id,)
                    ).fetchone()
                ),
                "score": score,
            }
            for product_id, score in best
        ]
    return {"user_id": user_id, "products": products}


def score_products(baskets: dict[int, set[int]], user_id: int) -> dict[int, int]:
    """Return the score of every product the user does not own, from the baskets of all users."""
    buyers = Counter(itertools.chain.from_iterable(baskets.values()))
    together: Counter[tuple[int, int]] = Counter()
    for basket in baskets.values():
        together.update(itertools.combinations(sorted(basket), 2))
    owned = baskets.get(user_id)
    if not owned:
        return dict(buyers)
    scores: dict[int, int] = defaultdict(int)
    for (one, other), count in together.items():
        if (one in owned) != (other in owned):
            wanted = other if one in owned else one
            scores[wanted] += 1_000_000 * count * count // (buyers[one] * buyers[other])
    return scores


def _require_user(connection: sqlite3.Connection, user_id: int) -> None:
    if not connection.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone():
        raise not_found("user", user_id)
