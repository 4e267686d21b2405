"""An endless, repeatable stream of requests as a shop's visitors would make them. Sends nothing itself."""

import json
import random
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

from monolith_stub import seed

BOT_SHARE = 0.03
JSON = {"Content-Type": "application/json"}

_QUERIES = (
    "quiet coffee",
    "light tent",
    "steel",
    "cork mug",
    "warm",
    "oak desk",
    "robot",
    "vintage lens",
    "rainy days",
)
_CITIES = ("Berlin", "Lagos", "Lima", "Oslo", "Paris", "Seoul", "Tokyo")
# Test numbers that card schemes publish; they pass the check digit and belong to nobody.
_CARDS = ("4111111111111111", "5555555555554444", "378282246310005", "6011111111111117")

_USER_AGENTS = (
    (50, {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}),
    (25, {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148 Safari/604.1"}),
    (15, {"User-Agent": "mobile", "Version": "1.0.0"}),
    (7, {"User-Agent": "mobile", "Version": "2.0.0"}),
    (3, {"User-Agent": "ExampleBot/1.0 (+https://bot.example.com/)"}),
)


class SampleRequest(NamedTuple):
    """One request: method, path with query, headers without Host, body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class _Visitors:
    """Draws requests; counts what earlier ones have created, assuming that they succeeded."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._draw = random.Random(number)
        self._signups = 0
        self._payments = 0
        self._uploads = 0

    def next_request(self) -> SampleRequest:
        (make,) = self._draw.choices(_MAKERS, _WEIGHTS)
        request = make(self)
        (agent,) = self._draw.choices([agent for _, agent in _USER_AGENTS], [share for share, _ in _USER_AGENTS])
        path = request.path
        if request.method == "GET" and self._draw.random() < BOT_SHARE:
            path += ("&" if "?" in path else "?") + "utm_source=bot"
        return request._replace(path=path, headers={"Accept": "*/*", **agent, **request.headers})

    def home(self) -> SampleRequest:
        return _get("/")

    def categories(self) -> SampleRequest:
        return _get("/api/categories")

    def product_list(self) -> SampleRequest:
        return _get("/api/products", category=self._draw.choice(seed.CATEGORIES))

    def product(self) -> SampleRequest:
        # One in a hundred follows a dead link.
        missing = self._draw.random() < 0.01
        return _get(f"/api/products/{seed.PRODUCTS + 1 if missing else self._popular(seed.PRODUCTS)}")

    def search(self) -> SampleRequest:
        return _get("/api/search", q=self._draw.choice(_QUERIES))

    def user(self) -> SampleRequest:
        return _get(f"/api/users/{self._popular(seed.USERS)}")

    def user_list(self) -> SampleRequest:
        return _get("/api/users", after=self._draw.randrange(seed.USERS), limit=25)

    def signup(self) -> SampleRequest:
        self._signups += 1
        user = {
            "email": f"visitor.{self._number}.{self._signups}@example.com",
            "name": f"Visitor {self._signups}",
            "password": seed.PASSWORD,
            "city": self._draw.choice(_CITIES),
        }
        return _post("/api/users", user)

    def login(self) -> SampleRequest:
        email = _emails()[self._popular(seed.USERS) - 1]
        password = seed.PASSWORD if self._draw.random() < 0.9 else "forgotten"
        return _post("/api/users/login", {"email": email, "password": password})

    def recommended_products(self) -> SampleRequest:
        return _get(f"/api/recommendations/users/{self._popular(seed.USERS)}/products")

    def recommended_friends(self) -> SampleRequest:
        return _get(f"/api/recommendations/users/{self._popular(seed.USERS)}/friends")

    def order(self) -> SampleRequest:
        lines = [
            {"product_id": self._popular(seed.PRODUCTS), "quantity": 1 + self._draw.randrange(2)}
            for _ in range(1 + self._draw.randrange(3))
        ]
        return _post("/api/orders", {"user_id": self._popular(seed.USERS), "lines": lines})

    def read_order(self) -> SampleRequest:
        return _get(f"/api/orders/{1 + self._draw.randrange(seed.ORDERS)}")

    def order_list(self) -> SampleRequest:
        return _get("/api/orders", user_id=self._popular(seed.USERS))

    def payment(self) -> SampleRequest:
        self._payments += 1
        order_id = seed.PAID_ORDERS + self._payments
        card = {
            "number": self._draw.choice(_CARDS),
            "expiry_month": 1 + self._draw.randrange(12),
            "expiry_year": 2090,
            "cvc": f"{self._draw.randrange(1000):03d}",
            "holder": "Ada Lovelace",
        }
        return _post("/api/payments", {"order_id": order_id, "card": card})

    def contacts(self) -> SampleRequest:
        contacts = [
            {
                "name": f"Contact {number}",
                "emails": [f"contact.{self._draw.randrange(10**6)}@example.com"],
                "phones": [f"+49 30 {self._draw.randrange(10**7):07d}"],
            }
            for number in range(500 + self._draw.randrange(1500))
        ]
        return _post(f"/api/contacts/{self._popular(seed.USERS)}", {"contacts": contacts})

    def upload(self) -> SampleRequest:
        self._uploads += 1
        return SampleRequest("POST", "/api/images", {"Content-Type": "image/png"}, photo(self._uploads % 3))

    def image(self) -> SampleRequest:
        if not self._uploads:
            return self.upload()
        # Of the newest images only: the shop does not keep all.
        image_id = self._uploads - self._draw.randrange(min(self._uploads, 100))
        return _get(f"/api/images/{image_id}/{self._draw.choice(('thumb', 'small', 'medium', 'large'))}")

    def _popular(self, count: int) -> int:
        """Draw an id from 1 to count; small ids come more often."""
        share = self._draw.random()
        return 1 + int(share * share * count)


# In a thousand requests.
_MIX: tuple[tuple[int, Callable[[_Visitors], SampleRequest]], ...] = (
    (250, _Visitors.product),
    (200, _Visitors.product_list),
    (50, _Visitors.home),
    (40, _Visitors.categories),
    (110, _Visitors.search),
    (70, _Visitors.user),
    (15, _Visitors.user_list),
    (15, _Visitors.signup),
    (15, _Visitors.login),
    (60, _Visitors.recommended_products),
    (40, _Visitors.recommended_friends),
    (35, _Visitors.order),
    (30, _Visitors.read_order),
    (30, _Visitors.order_list),
    (15, _Visitors.payment),
    (5, _Visitors.contacts),
    (10, _Visitors.upload),
    (10, _Visitors.image),
)
_WEIGHTS = [weight for weight, _ in _MIX]
_MAKERS = [make for _, make in _MIX]


def sample(number: int = 1) -> Iterator[SampleRequest]:
    """Yield requests without end; the same number gives the same requests."""
    visitors = _Visitors(number)
    while True:
        yield visitors.next_request()


async def generate(number: int = 1) -> AsyncIterator[SampleRequest]:
    """Yield what `sample` yields, for `async for`."""
    for request in sample(number):
        yield request


@lru_cache
def _emails() -> tuple[str, ...]:
    return tuple(user.email for user in seed.users())


@lru_cache
def photo(number: int, width: int = 2000, height: int = 1500) -> bytes:
    """Return a PNG with the size and the grain of a photo (made in about 0.1 s, then kept)."""
    draw = random.Random(number)
    grain = draw.randbytes(3 * width)
    row = bytes(((position * 200 // (3 * width)) + (noise >> 3)) & 255 for position, noise in enumerate(grain))
    lines = bytearray()
    for line in range(height):
        shift = 3 * (line * 7 % width)
        lines += b"\0" + row[shift:] + row[:shift]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _get(path: str, **query: str | int) -> SampleRequest:
    return SampleRequest("GET", f"{path}?{urlencode(query)}" if query else path, {})


def _post(path: str, content: object) -> SampleRequest:
    return SampleRequest("POST", path, JSON, json.dumps(content).encode())
