"""The six condition types: what each compares, and with what (alb.md 2).

A condition is compiled once and then only read. `matches` decides; `saw` tells a person what was compared.
The table asks the index of a field first (`index.py`), so that few conditions are ever asked.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar, Protocol, Self

from proxy.config.model import ConditionConfig
from proxy.rules.patterns import PatternError, Values, compile_values, of_wildcards, parse_wildcard
from proxy.rules.request import RequestView

ABSENT = "(absent)"
"""What `saw` says of a header that the request does not have."""


class Condition:
    """One condition of a rule.

    (No dataclass and no Protocol, and neither are its kinds: their `matches` is compiled, and then called directly.)
    """

    __slots__ = ()

    field: ClassVar[str] = ""

    @property
    def settled_by_index(self) -> bool:
        """Whether the index of its field alone decides it."""
        return False

    def matches(self, view: RequestView) -> bool:
        """Whether it holds for a request."""
        raise NotImplementedError

    def saw(self, view: RequestView) -> str:
        """What it compared, for a person."""
        raise NotImplementedError


class ConditionType(Protocol):
    """What `CONDITIONS` holds; `compile` raises PatternError for a value that cannot be used."""

    def compile(self, config: ConditionConfig) -> Condition: ...


class HostHeader(Condition):
    """`host-header`: the host name of the first Host header, without regard to case (alb.md 2.3).

    Literals are compared without the port, which they cannot hold; a regular expression sees the value as
    received, port included, in lower case (alb.md 14.3, 14.4). A request without a host satisfies no value,
    `*` included.
    """

    __slots__ = ("values", "with_port")

    field: ClassVar[str] = "host-header"

    def __init__(self, values: Values, with_port: bool) -> None:
        self.values = values
        self.with_port = with_port

    @classmethod
    def compile(cls, config: ConditionConfig) -> Self:
        return cls(compile_values(config.values, config.regex_values, fold=True), bool(config.regex_values))

    @property
    def settled_by_index(self) -> bool:
        return self.values.are_literals

    def matches(self, view: RequestView) -> bool:
        host = view.host_port if self.with_port else view.host
        return host != b"" and self.values.match(host) is not None

    def saw(self, view: RequestView) -> str:
        return _text(view.host_port if self.with_port else view.host) or ABSENT


class PathPattern(Condition):
    """`path-pattern`: the whole path, case-sensitively, never the query (alb.md 2.4).

    Percent-escapes are decoded first, slashes kept (alb.md 14.1). A regular expression is searched for in the
    same path, case-sensitively (alb.md 14.4).
    """

    __slots__ = ("values",)

    field: ClassVar[str] = "path-pattern"

    def __init__(self, values: Values) -> None:
        self.values = values

    @classmethod
    def compile(cls, config: ConditionConfig) -> Self:
        return cls(compile_values(config.values, config.regex_values))

    @property
    def settled_by_index(self) -> bool:
        return self.values.are_literals

    def matches(self, view: RequestView) -> bool:
        return self.values.match(view.path) is not None

    def saw(self, view: RequestView) -> str:
        return _text(view.path)


class HttpRequestMethod(Condition):
    """`http-request-method`: exact and case-sensitive; `GET` does not imply `HEAD` (alb.md 2.6)."""

    __slots__ = ("methods",)

    field: ClassVar[str] = "http-request-method"

    def __init__(self, methods: frozenset[bytes]) -> None:
        self.methods = methods

    @classmethod
    def compile(cls, config: ConditionConfig) -> Self:
        return cls(frozenset(value.encode() for value in config.values))

    @property
    def settled_by_index(self) -> bool:
        return True

    def matches(self, view: RequestView) -> bool:
        return view.method in self.methods

    def saw(self, view: RequestView) -> str:
        return _text(view.method)


class HttpHeader(Condition):
    """`http-header`: any one line of this header, each compared as one string (alb.md 2.5).

    Literals disregard case; a regular expression sees the value as received, case-sensitively (alb.md 14.4).
    A header that is absent satisfies no value, `*` included. X-Forwarded-For is what the client sent.
    """

    __slots__ = ("fold", "name", "values")

    field: ClassVar[str] = "http-header"

    def __init__(self, name: bytes, values: Values, fold: bool) -> None:
        self.name = name
        self.values = values
        self.fold = fold

    @classmethod
    def compile(cls, config: ConditionConfig) -> Self:
        if not config.header_name:
            raise PatternError("an http-header condition needs the name of a header")
        values = compile_values(config.values, config.regex_values, fold=True)
        return cls(config.header_name.lower().encode(), values, not config.regex_values)

    def matches(self, view: RequestView) -> bool:
        match = self.values.match
        for value in view.header_values(self.name):  # noqa: SIM110 - a generator costs more
            if match(value.lower() if self.fold else value) is not None:
                return True
        return False

    def saw(self, view: RequestView) -> str:
        values = view.header_values(self.name)
        return ", ".join(map(_text, values)) if values else ABSENT


class PairPattern:
    """A key, or None for any, and the value that it must have. Both disregard case."""

    __slots__ = ("key", "value")

    def __init__(self, key: Values | None, value: Values) -> None:
        self.key = key
        self.value = value

    def matches(self, key: bytes, value: bytes) -> bool:
        return self.value.match(value) is not None and (self.key is None or self.key.match(key) is not None)


class QueryString(Condition):
    """`query-string`: some key of the query has this value, without regard to case (alb.md 2.7).

    Keys and values are compared as received, percent-escapes and all: nothing says that the load balancer
    decodes them (alb.md 14.1). A bare token is a key whose value is empty, so `*` takes it and its name is no
    value (14.7).
    """

    __slots__ = ("pairs",)

    field: ClassVar[str] = "query-string"

    def __init__(self, pairs: tuple[PairPattern, ...]) -> None:
        self.pairs = pairs

    @classmethod
    def compile(cls, config: ConditionConfig) -> Self:
        return cls(
            tuple(
                PairPattern(None if pair.key is None else _query_value(pair.key), _query_value(pair.value))
                for pair in config.pairs
            )
        )

    def matches(self, view: RequestView) -> bool:
        for key, value in view.query_pairs:
            for wanted in self.pairs:
                if wanted.matches(key, value):
                    return True
        return False

    def saw(self, view: RequestView) -> str:
        return _text(view.query)


class SourceIp(Condition):
    """`source-ip`: the address of the TCP peer is in one of the CIDRs (alb.md 2.8).

    X-Forwarded-For plays no part. An IPv4 client on a dual-stack socket (`::ffff:192.0.2.1`) is an IPv4
    client. Host bits set in a CIDR are disregarded (alb.md 14.15).
    """

    __slots__ = ("networks",)

    field: ClassVar[str] = "source-ip"

    def __init__(self, networks: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self.networks = networks

    @classmethod
    def compile(cls, config: ConditionConfig) -> Self:
        return cls(tuple(map(_network, config.values)))

    def matches(self, view: RequestView) -> bool:
        version, number = parse_peer(view.peer)
        return any(
            network.version == version
            and number >> (network.max_prefixlen - network.prefixlen)
            == int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            for network in self.networks
        )

    def saw(self, view: RequestView) -> str:
        return view.peer


CONDITIONS: dict[str, ConditionType] = {
    HostHeader.field: HostHeader,
    PathPattern.field: PathPattern,
    HttpRequestMethod.field: HttpRequestMethod,
    HttpHeader.field: HttpHeader,
    QueryString.field: QueryString,
    SourceIp.field: SourceIp,
}
"""Condition types by the name they have in a table."""


@lru_cache(maxsize=4096)
def parse_peer(peer: str) -> tuple[int, int]:
    """The IP version and the number of a client's address; version 0, in no network, for what is no address.

    The cache is bounded, and a miss costs a few microseconds: many clients cannot make it slow or large.
    """
    try:
        address = ip_address(peer)
    except ValueError:
        return (0, 0)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return (address.version, int(address))


def _network(cidr: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        raise PatternError(f"{cidr!r} is not a CIDR block such as 10.0.0.0/8 or 2001:db8::/32") from None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


def _query_value(text: str) -> Values:
    return of_wildcards([parse_wildcard(text, fold=True, escapes=True)])


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
