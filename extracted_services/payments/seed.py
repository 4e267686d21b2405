"""The orders as the monolith was seeded with them: number, total, and whether they are paid."""

import random
from collections.abc import Iterator

USERS = 2000
PRODUCTS = 1000
ORDERS = 10_000
PAID_ORDERS = 8000
CATEGORIES = 12
_KINDS_OF_A_CATEGORY, _QUALITIES, _MATERIALS = 5, 20, 14


def orders() -> Iterator[tuple[int, int, bool]]:
    """Yield (id, total in cents, whether it is paid)."""
    prices, draw = _prices(), random.Random("orders")
    for order_id in range(1, ORDERS + 1):
        user_id = 1 + draw.randrange(USERS)
        bought: dict[int, int] = {}
        for _ in range(1 + draw.randrange(5)):
            favourite = (user_id * 7 + draw.randrange(2) * 3) % CATEGORIES
            category = favourite if draw.random() < 0.8 else draw.randrange(CATEGORIES)
            popularity = draw.random()
            rank = int(popularity * popularity * (PRODUCTS // CATEGORIES))
            bought[category + rank * CATEGORIES + 1] = 1 + draw.randrange(3)
        yield order_id, sum(prices[product] * quantity for product, quantity in bought.items()), order_id <= PAID_ORDERS


def _prices() -> dict[int, int]:
    draw, prices = random.Random("products"), {}
    for product_id in range(1, PRODUCTS + 1):
        for words in (_KINDS_OF_A_CATEGORY, _QUALITIES, _MATERIALS):
            draw.randrange(words)  # its name
        prices[product_id] = 500 + 5 * draw.randrange(4000)
    return prices
