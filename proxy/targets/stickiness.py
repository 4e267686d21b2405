"""Target stickiness: the cookies that lead a client back to its target (alb.md 5.5). Pure; time is an argument.

Both kinds have the same two steps: `recall` says at the request which target its cookies name, `lines` says at the
response which cookies the client is to keep. In between the group decides: the recalled target if it may take
requests, else another one, whose name the cookies then bear.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from proxy.config.model import StickinessConfig
from proxy.http1.cookies import cross_site, reader, set_cookie_lines, set_cookie_value
from proxy.http1.head import Headers
from proxy.http1.sealed import Sealer, sealed_length

MAX_LB_COOKIE: Final = 512
"""Longest AWSALB that is looked at; those made here are shorter."""
SHARD_BYTES: Final = 4000
"""Most of a value in one AWSALBAPP-n: with name and attributes it stays under the 4 K that browsers take."""
MAX_SHARDS: Final = 4
"""AWSALBAPP-0 to -3: 16 K (alb.md 5.5)."""

_READ_LB: Final = (reader(b"AWSALB"), reader(b"AWSALBCORS"))
_SHARD_NAMES: Final = tuple(b"AWSALBAPP-%d" % number for number in range(MAX_SHARDS))
_READ_SHARDS: Final = tuple(reader(name) for name in _SHARD_NAMES)
_REMOVED: Final = b"Set-Cookie: %s=_remove_; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/\r\n"


class Recalled(NamedTuple):
    """What the cookies of a request say.

    Attributes:
        target: The key of the target that they name, empty if they name none.
        session: The application's cookie, for `app_cookie` only.
        shards: Which AWSALBAPP-n came, for `app_cookie` only.
    """

    target: str = ""
    session: bytes = b""
    shards: tuple[int, ...] = ()


NOTHING: Final = Recalled()


class TargetStickiness(Protocol):
    """The stickiness of one target group."""

    def recall(self, cookies: list[bytes], sealer: Sealer, now: float) -> Recalled:
        """Return what the Cookie lines of a request say; anything that does not hold counts as not sent."""
        ...

    def lines(
        self, recalled: Recalled, target: str, headers: Headers, sealer: Sealer, now: float, *, secure: bool
    ) -> bytes:
        """Return the `Set-Cookie` lines of a response.

        Args:
            target: The key of the target that answered.
            headers: Those of its response.
            now: Seconds since 1970.
            secure: Whether the client speaks HTTPS.
        """
        ...


class LbCookie:
    """`lb_cookie`: AWSALB and its cross-site twin AWSALBCORS with the same value, anew in every response."""

    __slots__ = ("_purpose", "_seconds")

    def __init__(self, group: str, seconds: int) -> None:
        self._purpose = b"AWSALB/" + group.encode()
        self._seconds = seconds

    def recall(self, cookies: list[bytes], sealer: Sealer, now: float) -> Recalled:
        for read in _READ_LB:
            for value in read(cookies):
                if len(value) <= MAX_LB_COOKIE:
                    text = sealer.unseal(self._purpose, value, now=now)
                    if text is not None:
                        return Recalled(text.decode())
        return NOTHING

    def lines(
        self, recalled: Recalled, target: str, headers: Headers, sealer: Sealer, now: float, *, secure: bool
    ) -> bytes:
        value = sealer.seal(self._purpose, target.encode(), valid_until=now + self._seconds)
        return set_cookie_lines(((b"AWSALB", b""), (b"AWSALBCORS", cross_site(secure=secure))), value, now=now)


class AppCookie:
    """`app_cookie`: a session of the application, by its own cookie and AWSALBAPP-0 to -3 together.

    AWSALBAPP holds the target and the value of the application's cookie, so that both must come back and belong
    together. It is made when a target sets its cookie, and anew in every response of the session: so the duration
    counts from the last response, as with `lb_cookie`, and a session that had to move to another target has moved for
    good. It is taken back when the application clears its cookie.
    """

    __slots__ = ("_name", "_purpose", "_read", "_seconds")

    def __init__(self, group: str, seconds: int, name: str) -> None:
        self._purpose = b"AWSALBAPP/" + group.encode()
        self._seconds = seconds
        self._name = name.encode()
        self._read = reader(self._name)

    def recall(self, cookies: list[bytes], sealer: Sealer, now: float) -> Recalled:
        found = [(number, values[0]) for number, read in enumerate(_READ_SHARDS) if (values := read(cookies))]
        if not found:
            return NOTHING
        shards = tuple(number for number, _ in found)
        joined = b"".join([value for _, value in found])
        if len(joined) <= SHARD_BYTES * MAX_SHARDS:
            text = sealer.unseal(self._purpose, joined, now=now)
            if text is not None:
                target, _, session = text.partition(b" ")
                if session in self._read(cookies):
                    return Recalled(target.decode(), session, shards)
        return Recalled("", b"", shards)

    def lines(
        self, recalled: Recalled, target: str, headers: Headers, sealer: Sealer, now: float, *, secure: bool
    ) -> bytes:
        session = set_cookie_value(headers, self._name)
        value = b""
        if session is None and recalled.target:
            session = recalled.session
        if session:
            text = b"%s %s" % (target.encode(), session)
            if sealed_length(len(text)) <= SHARD_BYTES * MAX_SHARDS:
                value = sealer.seal(self._purpose, text, valid_until=now + self._seconds)
        shards = [value[start : start + SHARD_BYTES] for start in range(0, len(value), SHARD_BYTES)]
        lines = [
            set_cookie_lines(((name, b""),), shard, now=now) for name, shard in zip(_SHARD_NAMES, shards, strict=False)
        ]
        # A shard left over from a longer value would make the next one unreadable.
        lines += [_REMOVED % _SHARD_NAMES[number] for number in recalled.shards if number >= len(shards)]
        return b"".join(lines)


def stickiness_of(group: str, config: StickinessConfig | None) -> TargetStickiness | None:
    """The stickiness that a target group asks for, None for none."""
    if config is None:
        return None
    if config.type == "app_cookie":
        return AppCookie(group, config.duration_seconds, config.cookie_name)
    return LbCookie(group, config.duration_seconds)
