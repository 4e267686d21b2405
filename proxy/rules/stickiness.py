"""Target group stickiness of a forward: the cookie that keeps a client in its target group (alb.md 3.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.http1.cookies import cross_site, reader, set_cookie_lines
from proxy.http1.sealed import Sealer

MAX_COOKIE: Final = 512
"""Longest AWSALBTG that is looked at; those made here are shorter."""

_PURPOSE: Final = b"AWSALBTG"
_READ: Final = (reader(b"AWSALBTG"), reader(b"AWSALBTGCORS"))


class GroupStickiness:
    """AWSALBTG and its cross-site twin AWSALBTGCORS.

    The cookie names a target group and no rule: it counts at every forward with group stickiness that has this group,
    whatever the weight there, 0 included. At one that does not have it, the weights decide anew.

    Args:
        groups: All groups of the forward.
        seconds: How long a client stays in its group, counted from the first response.
    """

    __slots__ = ("groups", "seconds")

    def __init__(self, groups: Iterable[str], seconds: int) -> None:
        self.groups = frozenset(groups)
        self.seconds = seconds

    def recall(self, cookies: list[bytes], sealer: Sealer, now: float) -> str | None:
        """Return the target group that the Cookie lines of a request name, None if they name none of this forward."""
        for read in _READ:
            for value in read(cookies):
                if len(value) <= MAX_COOKIE:
                    text = sealer.unseal(_PURPOSE, value, now=now)
                    if text is not None and (group := text.decode()) in self.groups:
                        return group
        return None

    def has_invalid(self, cookies: list[bytes], sealer: Sealer) -> bool:
        """Whether one of the cookies was not made here, as it stands; those that are out of date were (alb.md 3.1)."""
        return any(
            len(value) > MAX_COOKIE or sealer.unseal(_PURPOSE, value, now=0.0) is None
            for read in _READ
            for value in read(cookies)
        )

    def lines(self, group: str, sealer: Sealer, now: float, *, secure: bool) -> bytes:
        """Return the `Set-Cookie` lines that keep a client in this group from now on."""
        value = sealer.seal(_PURPOSE, group.encode(), valid_until=now + self.seconds)
        return set_cookie_lines(((b"AWSALBTG", b""), (b"AWSALBTGCORS", cross_site(secure=secure))), value, now=now)
