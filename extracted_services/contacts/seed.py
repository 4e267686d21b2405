"""The users as the monolith was seeded with them, without what matching does not need."""

import random
from collections.abc import Iterator
from typing import NamedTuple

USERS = 2000


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


class User(NamedTuple):
    """Who may be found in an address book."""

    id: int
    name: str
    email: str
    phone: str


def users() -> Iterator[User]:
    """Yield the first users, ids 1 to `USERS`."""
    names, draw = random.Random("names"), random.Random("users")
    for user_id in range(1, USERS + 1):
        first, last = names.choice(_FIRST_NAMES), names.choice(_LAST_NAMES)
        phone = f"+4930{draw.randrange(10**7):07d}"
        draw.randrange(16)  # the city
        draw.randrange(365 * 86400)  # the moment
        yield User(user_id, f"{first} {last}", f"{first}.{last}.{user_id}@example.com".lower(), phone)
