"""The conditions of a rule: what each type accepts (alb.md 2)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from proxy.config.model import ConditionConfig, ConditionField, QueryPair
from proxy.config.problem import Place, Report
from proxy.config.records import Either, Field, Fields, ListOf, MapOf, OneOrMany, Record
from proxy.config.regexes import regex_fault
from proxy.config.shapes import Fault, Shape, Text, printable

MAX_VALUE_LENGTH = 128
MAX_NAME_LENGTH = 40

_LETTERS_AFTER_LAST_DOT = re.compile(r".*\.[A-Za-z]+", re.DOTALL)
_ESCAPE_IN_QUERY = re.compile(r"\\(?![*?])")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]"


def _host_has_dot(text: str) -> Fault | None:
    if _LETTERS_AFTER_LAST_DOT.fullmatch(text):
        return None
    return Fault(
        "invalid-value",
        "is not a host-header pattern: it needs a dot, and only letters after the last one; "
        "for localhost or an address write {regex: ...}",
    )


def _not_host(text: str) -> Fault | None:
    if text.lower() != "host":
        return None
    return Fault("invalid-value", "cannot be tested by http-header: use the condition host-header")


def _query_escapes(text: str) -> Fault | None:
    if not _ESCAPE_IN_QUERY.search(text):
        return None
    return Fault("invalid-value", r"has a backslash that is neither \* nor \?, the only escapes there are")


def _cidr(text: str) -> Fault | None:
    address, slash, length = text.partition("/")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return Fault("invalid-cidr", "is not a CIDR block such as 10.0.0.0/8 or 2001:db8::/32")
    longest = 32 if version == 4 else 128
    if not slash:
        return Fault("invalid-cidr", f"is a bare address: write it with /{longest}")
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", length) or int(length) > longest or "%" in address:
        return Fault("invalid-cidr", f"is not a CIDR block: the prefix length is a number from 0 to {longest}")
    if text == "255.255.255.255/32":
        return Fault("invalid-cidr", "is refused by the load balancer: it is the broadcast address")
    return None


HOST_PATTERN = Text(
    "a host-header pattern",
    longest=MAX_VALUE_LENGTH,
    allowed=r"[A-Za-z0-9.*?-]",
    allowed_words="letters, digits, - . * ? (a port can only be matched by {regex: ...})",
    checks=(_host_has_dot,),
)
PATH_PATTERN = Text(
    "a path-pattern",
    longest=MAX_VALUE_LENGTH,
    allowed=r"""[A-Za-z0-9_.$/~"'@:+&*?-]""",
    allowed_words="""letters, digits and _ - . $ / ~ " ' @ : + & * ?""",
)
METHOD = Text(
    "a method",
    longest=MAX_NAME_LENGTH,
    allowed=r"[A-Z_-]",
    allowed_words="upper-case letters, - and _",
)
HEADER_NAME = Text(
    "a header name",
    longest=MAX_NAME_LENGTH,
    allowed=_TOKEN,
    allowed_words="the token characters of RFC 9110",
    checks=(_not_host,),
)
HEADER_PATTERN = Text("a header value pattern", longest=MAX_VALUE_LENGTH, checks=(printable,))
QUERY_PATTERN = Text(
    "a query-string pattern",
    longest=MAX_VALUE_LENGTH,
    allowed=r"[A-Za-z0-9._~!$&'()*+,;=:@/?%\\-]",
    allowed_words="the query characters of RFC 3986, others percent-encoded",
    checks=(_query_escapes,),
)
CIDR = Text("a CIDR block", longest=64, checks=(_cidr,))
REGEX = Text("a regular expression", longest=MAX_VALUE_LENGTH, checks=(printable, regex_fault))

_REGEX_VALUES = Field("regex", OneOrMany(REGEX), "Regular expressions instead of patterns; RE2 syntax.")


class _Regexes(tuple[str, ...]):
    """The values of `{regex: ...}`, told apart from patterns."""

    __slots__ = ()


def _values_or_regexes(pattern: Text) -> Shape[tuple[str, ...]]:
    def regexes(fields: Fields) -> tuple[str, ...]:
        return _Regexes(fields.get(_REGEX_VALUES, ()))

    required = Field(_REGEX_VALUES.name, _REGEX_VALUES.shape, _REGEX_VALUES.about, required=True)
    return Either(OneOrMany(pattern), Record("{regex: ...}", (required,), regexes))


def _condition(
    field: ConditionField, values: tuple[str, ...], place: Place, header_name: str | None = None
) -> ConditionConfig:
    if isinstance(values, _Regexes):
        return ConditionConfig(field, regex_values=tuple(values), header_name=header_name, place=place)
    return ConditionConfig(field, values=tuple(values), header_name=header_name, place=place)


def _of(field: ConditionField) -> Callable[[tuple[str, ...], Place, Report], ConditionConfig]:
    return lambda values, place, report: _condition(field, values, place)


def _http_header(values: dict[str, tuple[str, ...]], place: Place, report: Report) -> ConditionConfig | None:
    return next((_condition("http-header", each, place, name) for name, each in values.items()), None)


def _pairs_of_mapping(values: dict[str, tuple[str, ...]], place: Place, report: Report) -> tuple[QueryPair, ...]:
    return tuple(QueryPair(key, value) for key, each in values.items() for value in each)


def _any_key(value: str, place: Place, report: Report) -> tuple[QueryPair, ...]:
    return (QueryPair(None, value),)


def _query_string(pairs: Iterable[tuple[QueryPair, ...]], place: Place, report: Report) -> ConditionConfig | None:
    return ConditionConfig("query-string", pairs=tuple(pair for each in pairs for pair in each), place=place)


def _source_ip(values: tuple[str, ...], place: Place, report: Report) -> ConditionConfig:
    for value in values:
        network = ipaddress.ip_network(value, strict=False)
        if str(network.network_address) != str(ipaddress.ip_address(value.partition("/")[0])):
            message = f"a CIDR block here has bits set beyond its prefix; it means {network}"
            report.warning("host-bits", place, message)
    return _condition("source-ip", values, place)


_QUERY_ITEM: Shape[tuple[QueryPair, ...]] = Either(
    QUERY_PATTERN.then(_any_key),
    MapOf(QUERY_PATTERN, OneOrMany(QUERY_PATTERN), "a mapping of keys to values").then(_pairs_of_mapping),
)

CONDITION_FIELDS: tuple[Field[ConditionConfig], ...] = (
    Field(
        "host-header",
        _values_or_regexes(HOST_PATTERN).then(_of("host-header")),
        "Patterns for the Host header without its port; * is any run of characters and ? any one.",
    ),
    Field(
        "path-pattern",
        _values_or_regexes(PATH_PATTERN).then(_of("path-pattern")),
        "Patterns for the whole path, case-sensitive, the query left out.",
    ),
    Field(
        "http-request-method",
        OneOrMany(METHOD).then(_of("http-request-method")),
        "Methods, compared exactly: GET does not imply HEAD.",
    ),
    Field(
        "http-header",
        MapOf(
            HEADER_NAME,
            _values_or_regexes(HEADER_PATTERN),
            "a mapping of exactly one header name to its values",
            longest=1,
        ).then(_http_header),
        "One header name with patterns for its value.",
    ),
    Field(
        "query-string",
        OneOrMany(_QUERY_ITEM).then(_query_string),
        "Values for any key, or mappings of a key to its values; any one of them is enough.",
    ),
    Field(
        "source-ip",
        OneOrMany(CIDR).then(_source_ip),
        "CIDR blocks for the address of the connection; X-Forwarded-For is not looked at.",
    ),
)


def _the_one(fields: Fields) -> ConditionConfig | None:
    return next((value for field in CONDITION_FIELDS if (value := fields.find(field))), None)


CONDITIONS = ListOf(
    Record("a condition", CONDITION_FIELDS, _the_one, exactly_one=True),
    "a list of conditions",
    shortest=1,
)
