"""The shop on its first day: the same users, products, orders and friendships on every machine.

Each kind of row, and each part that a service may need alone, comes from a random stream of its own, so that
a service carved out later can copy one generator without the others and still agree with the monolith. Only
`random()`, `randrange` and `choice` are used: their results for a given seed have not changed between Python
3.11 and 3.13.
"""

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

USERS = 2000
PRODUCTS = 1000
ORDERS = 10_000
PAID_ORDERS = 8000
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Every seeded user has this password, and one hash for all: 2,000 would take a minute.
PASSWORD = "strangler-fig"
PASSWORD_HASH = (
    "scrypt$16384$8$1$7365656465642d757365722d73616c74$07f4b4becdc826df296c01f2947020b18df2610e81deb384b87840fb12d9f7e1"
)

_FIRST_NAMES = _words(
    "Ada Alan Amara Anna Bela Carlos Chen Chloe Dana Elif Emma Farid Grace Hana Hugo Ines Ivan Jun Kofi Lea "
    "Linus Maya Mina Noah Nora Omar Paul Priya Rosa Sami Sofia Tariq Uma Vera Wim Yara Yuki Zoe"
)
_LAST_NAMES = _words(
    "Adeyemi Bauer Bianchi Costa Demir Diaz Dubois Fischer Garcia Hansen Haddad Ito Jansen Kaur Keller Kim "
    "Kowalski Larsen Li Lopez Mensah Meyer Moreau Nguyen Novak Okafor Patel Petrov Rossi Sato Silva Singh "
    "Smith Tanaka Weber Wolf"
)
_CITIES = _words("Berlin Bogota Cairo Delhi Dublin Lagos Lima Lisbon Madrid Milan Nairobi Oslo Paris Porto Seoul Tokyo")
_KINDS = {
    "books": _words("atlas novel cookbook notebook biography"),
    "camping": _words("tent lantern stove hammock sleeping-bag"),
    "coffee": _words("grinder kettle mug beans dripper"),
    "cycling": _words("helmet saddle pump lock jersey"),
    "garden": _words("shears trowel planter hose gloves"),
    "kitchen": _words("knife pan board scale bowl"),
    "music": _words("guitar ukulele headphones metronome strings"),
    "office": _words("lamp chair desk keyboard pen"),
    "photo": _words("tripod lens strap backpack filter"),
    "running": _words("shoes socks vest bottle watch"),
    "toys": _words("puzzle robot kite blocks train"),
    "travel": _words("suitcase pillow adapter wallet poncho"),
}
CATEGORIES = tuple(_KINDS)
_QUALITIES = _words(
    "light sturdy compact classic quiet bright warm foldable waterproof handmade recycled everyday slim "
    "smooth rugged vintage modern precise soft steady"
)
_MATERIALS = _words("steel bamboo cotton leather linen oak copper glass wool cork aluminium ceramic nylon walnut")
_USES = (
    *("long weekends", "small flats", "cold mornings", "daily commuting", "first attempts", "rainy days"),
    *("demanding professionals", "family trips", "quiet evenings", "busy kitchens", "mountain trails"),
    *("late nights", "short breaks", "open fires", "tight budgets"),
)


class User(NamedTuple):
    """A row of `users`, without the password."""

    id: int
    email: str
    name: str
    phone: str
    city: str
    created_at: str


class Product(NamedTuple):
    """A row of `products`."""

    id: int
    name: str
    category: str
    description: str
    price_cents: int
    stock: int


class Order(NamedTuple):
    """An order as a buyer makes it: (product id, quantity) lines, no prices."""

    id: int
    user_id: int
    created_at: str
    lines: tuple[tuple[int, int], ...]


def users() -> Iterator[User]:
    """Yield the first users, ids 1 to `USERS`."""
    names, draw = random.Random("names"), random.Random("users")
    for user_id in range(1, USERS + 1):
        first, last = names.choice(_FIRST_NAMES), names.choice(_LAST_NAMES)
        yield User(
            id=user_id,
            email=f"{first}.{last}.{user_id}@example.com".lower(),
            name=f"{first} {last}",
            phone=f"+4930{draw.randrange(10**7):07d}",
            city=draw.choice(_CITIES),
            created_at=_moment(draw.randrange(365 * 86400)),
        )


def products() -> Iterator[Product]:
    """Yield the first products, ids 1 to `PRODUCTS`; one in fifty is nearly sold out."""
    draw, details = random.Random("products"), random.Random("details")
    for product_id in range(1, PRODUCTS + 1):
        category = category_of(product_id)
        kind = draw.choice(_KINDS[category])
        quality, material = draw.choice(_QUALITIES), draw.choice(_MATERIALS)
        sentences = [f"A {quality} {kind} of {material} for {details.choice(_USES)}."]
        for _ in range(3):
            part, one, other = (details.choice(words) for words in (_MATERIALS, _QUALITIES, _QUALITIES))
            uses = f"{details.choice(_USES)} and {details.choice(_USES)}"
            sentences.append(f"The {part} part is {one} and {other}, good for {uses}.")
        yield Product(
            id=product_id,
            name=f"{quality.capitalize()} {material} {kind}",
            category=category,
            description=" ".join(sentences),
            price_cents=500 + 5 * draw.randrange(4000),
            stock=details.randrange(6) if product_id % 50 == 0 else 200 + details.randrange(2000),
        )


def orders() -> Iterator[Order]:
    """Yield the first orders, ids 1 to `ORDERS`: a user mostly buys in two favourite categories."""
    draw = random.Random("orders")
    for order_id in range(1, ORDERS + 1):
        user_id = 1 + draw.randrange(USERS)
        bought: dict[int, int] = {}
        for _ in range(1 + draw.randrange(5)):
            favourite = (user_id * 7 + draw.randrange(2) * 3) % len(CATEGORIES)
            category = favourite if draw.random() < 0.8 else draw.randrange(len(CATEGORIES))
            # Squaring the draw makes a few products of each category popular, as in a real shop.
            popularity = draw.random()
            rank = int(popularity * popularity * (PRODUCTS // len(CATEGORIES)))
            bought[category + rank * len(CATEGORIES) + 1] = 1 + draw.randrange(3)
        yield Order(order_id, user_id, _moment(order_id * 3000), tuple(bought.items()))


def friendships() -> Iterator[tuple[int, int]]:
    """Yield each friendship once, smaller id first: most friends are near in id, some are anywhere."""
    draw = random.Random("friendships")
    seen = set()
    for user_id in range(1, USERS + 1):
        for _ in range(20 + draw.randrange(21)):
            near = (user_id + draw.randrange(150)) % USERS + 1
            friend_id = near if draw.random() < 0.75 else 1 + draw.randrange(USERS)
            pair = (min(user_id, friend_id), max(user_id, friend_id))
            if friend_id != user_id and pair not in seen:
                seen.add(pair)
                yield pair


def category_of(product_id: int) -> str:
    """Return the category of a seeded product: categories take turns."""
    return CATEGORIES[(product_id - 1) % len(CATEGORIES)]


def fill(connection: sqlite3.Connection) -> None:
    """Insert everything inside the transaction that the caller has begun (about a second)."""
    connection.executemany(
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", ((*user, PASSWORD_HASH) for user in users())
    )
    connection.executemany(
        "INSERT INTO friendships VALUES (?, ?)",
        (pair for one, other in friendships() for pair in ((one, other), (other, one))),
    )
    catalogue = list(products())
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)", catalogue)
    prices = {product.id: product.price_cents for product in catalogue}
    for order in orders():
        total = sum(prices[product_id] * quantity for product_id, quantity in order.lines)
        status = "paid" if order.id <= PAID_ORDERS else "placed"
        connection.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (order.id, order.user_id, status, total, order.created_at),
        )
        connection.executemany(
            "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
            ((order.id, product_id, quantity, prices[product_id]) for product_id, quantity in order.lines),
        )


def _moment(seconds: int) -> str:
    return (FIRST_DAY + timedelta(seconds=seconds)).isoformat(timespec="seconds")
