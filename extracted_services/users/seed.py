"""The users as the monolith was seeded with them: what a first copy of its table would bring."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

USERS = 2000
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Of "strangler-fig", the password of every seeded user.
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


class User(NamedTuple):
    """A row of `users`, without the password."""

    id: int
    email: str
    name: str
    phone: str
    city: str
    created_at: str


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


def _moment(seconds: int) -> str:
    return (FIRST_DAY + timedelta(seconds=seconds)).isoformat(timespec="seconds")
