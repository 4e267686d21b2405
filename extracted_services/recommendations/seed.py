"""The shop as the monolith was seeded with it, without what recommendations do not need."""

import random
from collections.abc import Iterator

USERS = 2000
PRODUCTS = 1000
ORDERS = 10_000


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST_NAMES = _words(
    "Ada Alan Amara Anna Bela Carlos Chen Chloe Dana Elif Emma Farid Grace Hana Hugo Ines Ivan Jun Kofi Lea "
    "Linus Maya Mina Noah Nora Omar Paul Priya Rosa Sami Sofia Tariq Uma Vera Wim Yara Yuki Zoe"
)
_LAST_NAMES = _words(
    "Adeyemi Bauer Bianchi Costa Demir Diaz Dubois Fischer Garcia Hansen Haddad Ito Jansen Kaur Keller Kim "
    "Kowalski Larsen Li Lopez Mensah Meyer Moreau Nguyen Novak Okafor Patel Petrov Rossi Sato Silva Singh "
    "Smith Tanaka Weber Wolf"
)
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


def users() -> Iterator[tuple[int, str]]:
    """Yield (id, name)."""
    names = random.Random("names")
    for user_id in range(1, USERS + 1):
        yield user_id, f"{names.choice(_FIRST_NAMES)} {names.choice(_LAST_NAMES)}"


def products() -> Iterator[tuple[int, str, str, int]]:
    """Yield (id, name, category, price in cents)."""
    draw = random.Random("products")
    for product_id in range(1, PRODUCTS + 1):
        category = CATEGORIES[(product_id - 1) % len(CATEGORIES)]
        kind = draw.choice(_KINDS[category])
        quality, material = draw.choice(_QUALITIES), draw.choice(_MATERIALS)
        price_cents = 500 + 5 * draw.randrange(4000)
        yield product_id, f"{quality.capitalize()} {material} {kind}", category, price_cents


def purchases() -> Iterator[tuple[int, int]]:
    """Yield (user id, product id) for each order line; a pair may come more than once."""
    draw = random.Random("orders")
    for _ in range(1, ORDERS + 1):
        user_id = 1 + draw.randrange(USERS)
        for _ in range(1 + draw.randrange(5)):
            favourite = (user_id * 7 + draw.randrange(2) * 3) % len(CATEGORIES)
            category = favourite if draw.random() < 0.8 else draw.randrange(len(CATEGORIES))
            # Squaring the draw makes a few products of each category popular, as in a real shop.
            popularity = draw.random()
            rank = int(popularity * popularity * (PRODUCTS // len(CATEGORIES)))
            draw.randrange(3)  # the quantity
            yield user_id, category + rank * len(CATEGORIES) + 1


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
