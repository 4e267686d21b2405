"""Which certificate a client gets: pure, from the server name it asks for to the certificates (alb.md 1.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.config.model import CertificateFacts

Selection = tuple[int, ...]
"""Indices of the certificates to offer: the best one, and if there is one the best of the other kind of key, for
clients that do not know the first kind."""
DEFAULT: Final[Selection] = (0,)


def choose(server_name: str, certificates: Sequence[CertificateFacts]) -> Selection | None:
    """The certificates for this name (lower case), best first; None when none is for it (alb.md 1.1).

    Several are ranked ECDSA before RSA, SHA before MD5, the longest key, the longest validity, then as listed.
    """
    matching = [
        index
        for index, facts in enumerate(certificates)
        if any(name_matches(pattern, server_name) for pattern in facts.names)
    ]
    if not matching:
        return None

    def rank(index: int) -> tuple[bool, bool, int, float, int]:
        facts = certificates[index]
        return (
            facts.key_algorithm != "ECDSA",
            facts.is_signed_with_md5,
            -facts.key_bits,
            -facts.not_after.timestamp(),
            index,
        )

    ranked = sorted(matching, key=rank)
    best = ranked[0]
    others = [index for index in ranked if certificates[index].key_algorithm != certificates[best].key_algorithm]
    return (best, *others[:1])


def name_matches(pattern: str, server_name: str) -> bool:
    """Whether a name in a certificate covers a host; `*.` stands for exactly one label (RFC 6125 6.4.3)."""
    if pattern.startswith("*."):
        return server_name.partition(".")[2] == pattern[2:]
    return pattern == server_name


def selections(certificates: Sequence[CertificateFacts]) -> dict[str, Selection]:
    """`choose` for every name that can make a difference; `*.d` stands for any other host under d."""
    names = dict.fromkeys(name for facts in certificates for name in facts.names)
    chosen = {name: choose(name, certificates) for name in names}
    return {name: selection for name, selection in chosen.items() if selection is not None}


def find(server_name: str, known: Mapping[str, Selection]) -> Selection | None:
    """`choose`, by the table that `selections` made."""
    name = server_name.lower()
    return known.get(name) or known.get(f"*.{name.partition('.')[2]}")
