"""The catalogue: products, categories, and a search over names and descriptions."""

import math
import re
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query

from monolith_stub.api import After, Here, Id, Limit, not_found

router = APIRouter(prefix="/api", tags=["catalogue"])

_SUMMARY = "id, name, category, price_cents, stock"
_NAME_WEIGHT = 3
_PREFIX_WEIGHT = 0.5
_MAX_TERMS = 8
_WORD = re.compile(r"[a-z0-9]+")


@router.get("/products")
def list_products(
    shop: Here,
    category: Annotated[str | None, Query(max_length=40)] = None,
    limit: Limit = 24,
    after: After = 0,
) -> dict[str, Any]:
    """List products by id, of one category or of all."""
    with shop.database.read() as connection:
        if category is None:
            rows = connection.execute(
                f"SELECT {_SUMMARY} FROM products WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            ).fetchall()
        else:
            rows = connection.execute(
                f"SELECT {_SUMMARY} FROM products WHERE category = ? AND id > ? ORDER BY id LIMIT ?",
                (category, after, limit),
            ).fetchall()
    return {"products": [dict(row) for row in rows]}


@router.get("/products/{product_id}")
def read_product(product_id: Id, shop: Here) -> dict[str, Any]:
    """Return one product with its description."""
    with shop.database.read() as connection:
        row = connection.execute(f"SELECT {_SUMMARY}, description FROM products WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        raise not_found("product", product_id)
    return dict(row)


@router.get("/categories")
def list_categories(shop: Here) -> dict[str, Any]:
    """List the categories with the number of their products."""
    with shop.database.read() as connection:
        rows = connection.execute(
            "SELECT category AS name, COUNT(*) AS products FROM products GROUP BY category ORDER BY category"
        ).fetchall()
    return {"categories": [dict(row) for row in rows]}


@router.get("/search")
def search(shop: Here, q: Annotated[str, Query(min_length=1, max_length=100)], limit: Limit = 10) -> dict[str, Any]:
    """Rank the products by the words of the query, rare words and names first, then by what sells.

    There is no index: every search reads and splits every description, the way a shop's first search does.
    """
    terms = list(dict.fromkeys(_WORD.findall(q.lower())))[:_MAX_TERMS]
    with shop.database.read() as connection:
        rows = connection.execute(
            f"SELECT {_SUMMARY}, description, "
            "(SELECT SUM(quantity) FROM order_lines WHERE product_id = products.id) AS sold FROM products"
        ).fetchall()
    documents = [(row, _words(row["name"], row["description"])) for row in rows]
    matches = {term: [_matches(term, words) for _, words in documents] for term in terms}
    scores = [0.0] * len(documents)
    for counts in matches.values():
        found = sum(1 for count in counts if count)
        rarity = math.log(1 + len(documents) / (1 + found))
        for position, count in enumerate(counts):
            scores[position] += rarity * count / (count + 1)
    ranked = sorted(
        ((score, row) for score, (row, _) in zip(scores, documents, strict=True) if score > 0),
        key=lambda item: (-item[0], -(item[1]["sold"] or 0), item[1]["id"]),
    )
    return {
        "found": len(ranked),
        "products": [
            {key: row[key] for key in _SUMMARY.split(", ")} | {"score": round(score, 4)}
            for score, row in ranked[:limit]
        ],
    }


def _words(name: str, description: str) -> Counter[str]:
    words = Counter(_WORD.findall(description.lower()))
    for word in _WORD.findall(name.lower()):
        words[word] += _NAME_WEIGHT
    return words


def _matches(term: str, words: Counter[str]) -> float:
    """Count the term, and as half of it each word that only begins with it."""
    return words[term] + sum(
        _PREFIX_WEIGHT * count for word, count in words.items() if word.startswith(term) and word != term
    )
