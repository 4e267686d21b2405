"""Requests as an API of given routes would get them, each with the route that it is of."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

VALUES = Path(__file__).parent / "data" / "values"
WORDS = (VALUES / "words.txt").read_text().split()
PEOPLE = (VALUES / "people.txt").read_text().split()
SCANNED = (VALUES / "scanned.txt").read_text().split()

BASE62 = string.ascii_letters + string.digits
Draw = Callable[[random.Random], str]


def _slug(rng: random.Random) -> str:
    return "-".join(rng.choice(WORDS) for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4))))


def _user(rng: random.Random) -> str:
    name = rng.choice(PEOPLE)
    return rng.choice(
        (name, f"{name}{rng.randrange(100)}", f"{name}.{rng.choice(PEOPLE)}", f"{name}_{rng.choice(WORDS)}")
    )


KINDS: dict[str, Draw] = {
    "int": lambda rng: str(rng.randrange(1, 10 ** rng.randrange(2, 9))),
    "uuid": lambda rng: "-".join(f"{rng.getrandbits(bits):0{bits // 4}x}" for bits in (32, 16, 16, 16, 48)),
    "hex": lambda rng: f"{rng.getrandbits(96):024x}",
    "hash": lambda rng: f"{rng.getrandbits(160):040x}",
    "short": lambda rng: f"{rng.getrandbits(32):08x}",
    "prefixed": lambda rng: f"{rng.choice(('ord', 'cus', 'itm'))}_{''.join(rng.choices(BASE62, k=14))}",
    "token": lambda rng: "".join(rng.choices(BASE62 + "-_", k=32)),
    "slug": _slug,
    "user": _user,
    "email": lambda rng: f"{_user(rng)}@{rng.choice(WORDS)}.{rng.choice(('com', 'org', 'example'))}",
    "date": lambda rng: f"20{rng.randrange(20, 27)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
    "domain": lambda rng: f"{rng.choice(WORDS)}{rng.choice(WORDS)}.{rng.choice(('com', 'net', 'io'))}",
    "address": lambda rng: ".".join(str(rng.randrange(1, 255)) for _ in range(4)),
    "file": lambda rng: f"{_slug(rng)}.{rng.choice(('js', 'css', 'png', 'svg'))}",
}
BY_NAME = (
    ("uuid", ["uuid"]), ("hash", ["hash"]), ("token", ["token"]), ("email", ["email"]), ("date", ["date"]),
    ("domain", ["domain"]), ("_ip", ["address"]), ("user", ["user", "user", "int"]), ("owner", ["user"]),
    ("asset_file", ["file"]), ("number", ["int"]), ("slug", ["slug"]), ("tenant", ["slug"]), ("name", ["slug", "user"]),
    ("key", ["slug", "hex"]), ("id", ["int", "int", "uuid", "hex", "short", "prefixed"]),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """`operation` is None for a scanner's."""

    operation: str | None
    method: str
    path: str
    status: int
    client: int


class Pool:
    """The values of one parameter, some more popular than others."""

    def __init__(self, kind: str, size: int, skew: float, rng: random.Random) -> None:
        self.kind = kind
        self._values = list(dict.fromkeys(KINDS[kind](rng) for _ in range(size)))
        self._weights = list(accumulate(1 / (rank + 1) ** skew for rank in range(len(self._values))))

    def draw(self, rng: random.Random) -> str:
        return rng.choices(self._values, cum_weights=self._weights)[0]


def read_routes(path: Path) -> list[str]:
    """One route a line; those that differ only in the names of their parameters are one operation."""
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    return list({re.sub(r"\{[^}]*\}", "{}", line): line for line in lines}.values())


def traffic(routes: list[str], requests: int, *, seed: int, noise: float = 0.02) -> Iterator[Request]:
    """Routes and values both by Zipf's law; every twentieth request of a route fails, a `noise` of all are scans."""
    rng = random.Random(seed)
    routes = rng.sample(routes, len(routes))
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(routes))))
    pools: dict[str, Pool] = {}
    for name in sorted({name for route in routes for name in re.findall(r"\{([^}]*)\}", route)}):
        kinds = next((kinds for part, kinds in BY_NAME if part in name.lower()), ["slug", "slug", "hex"])
        kind = rng.choice(kinds)
        pools[name] = Pool(kind, int(200 * 100 ** rng.random()), rng.uniform(0.6, 1.1), rng)
    for _ in range(requests):
        client = int(400 * rng.random() ** 2)
        if rng.random() < noise:
            yield Request(None, "GET", rng.choice(SCANNED), 404, client)
            continue
        route = rng.choices(routes, cum_weights=weights)[0]
        method, _, pattern = route.partition(" ")
        path = re.sub(r"\{([^}]*)\}", lambda match: pools[match[1]].draw(rng), pattern)
        status = 200 if rng.random() < 0.95 else rng.choice((404, 403, 500, 302))
        yield Request(route, method, path, status, client)
