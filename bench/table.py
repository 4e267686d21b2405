"""The rule tables of the comparison, written once as data: each peer's configuration is made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

DEFAULT_GROUP = "monolith"
GROUPS = (DEFAULT_GROUP, "orders", "users", "billing")
USER_AGENT = "bench/1.0"
KINDS = 10


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the load generator sends; `body_bytes` bytes of `x` follow the head."""

    method: str = "GET"
    path: str = "/"
    query: str = ""
    host: str = "www.example.com"
    header: tuple[str, str] | None = None
    body_bytes: int = 0

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def head(self) -> str:
        """The request's head as sent: the same small set of headers and at most one more."""
        headers = {"Host": self.host, "User-Agent": USER_AGENT, "Accept": "*/*"}
        if self.header:
            headers[self.header[0]] = self.header[1]
        if self.body_bytes:
            headers["Content-Length"] = str(self.body_bytes)
        lines = (f"{name}: {value}" for name, value in headers.items())
        return "\r\n".join([f"{self.method} {self.target} HTTP/1.1", *lines, "", ""])


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, all of which must hold, and the target group they lead to.

    The values keep to what every peer can say in its own language: a `host` is a name or `*.name`; a `path`
    is exact, ends in `/*`, or has one star between two slashes; a header's value is exact or `*part*`; a
    query condition is one `(key, value)`.
    """

    name: str
    group: str
    host: str | None = None
    path: str | None = None
    method: str | None = None
    header: tuple[str, str] | None = None
    query: tuple[str, str] | None = None

    def matches(self, request: Request) -> bool:
        return (
            (self.host is None or _covers(self.host, request.host))
            and (self.path is None or _covers(self.path, request.path))
            and (self.method is None or self.method == request.method)
            and (self.header is None or _has(self.header, request))
            and (self.query is None or "=".join(self.query) in request.query.split("&"))
        )

    @property
    def path_prefix(self) -> str | None:
        """`/a/` if the path condition is `/a/*`."""
        path = self.path or ""
        return path[:-1] if path.endswith("/*") and path.count("*") == 1 else None

    @property
    def path_regex(self) -> str | None:
        """An anchored regular expression if the path condition has a star inside."""
        if self.path is None or "*" not in self.path or self.path_prefix is not None:
            return None
        return "^" + self.path.replace("*", ".*") + "$"


@dataclass(frozen=True, slots=True)
class Table:
    """Rules in the order they are tried; a request that none takes goes to `DEFAULT_GROUP`."""

    rules: tuple[Rule, ...]

    def evaluate(self, request: Request) -> str:
        """Return the target group of the first rule that matches: what every peer has to agree with."""
        return next((rule.group for rule in self.rules if rule.matches(request)), DEFAULT_GROUP)

    def by_host(self) -> dict[str | None, tuple[Rule, ...]]:
        """Return the rules that each virtual host has to try, in order; `None` is any other host.

        nginx and Envoy choose by host first. A rule without a host condition is tried in every virtual host;
        behind a rule that asks for the host alone nothing can win any more, so the list ends there.
        """
        hosts = [None, *dict.fromkeys(rule.host for rule in self.rules if rule.host is not None)]
        return {host: tuple(_until_catch_all(self.rules, host)) for host in hosts}


def one_rule() -> Table:
    """Return a table whose only rule takes every request."""
    return Table((Rule("all", "orders", path="/*"),))


def mixed_rules(count: int = 100) -> Table:
    """Return `count` rules, ten kinds of conditions in turn.

    Every path condition has its own first segment and every host its own name, so that a peer which orders
    by the longest prefix decides as one which tries the rules in order.
    """
    return Table(tuple(_mixed_rule(number) for number in range(count)))


def _mixed_rule(number: int) -> Rule:
    name = f"r{number:03d}"
    rule = Rule(name, GROUPS[1 + number % (len(GROUPS) - 1)])
    prefix, host = f"/{name}/*", f"{name}.example.com"
    method = "GET" if number // 10 % 2 == 0 else "POST"
    match number % 10:
        case 0:
            return replace(rule, path=prefix)
        case 1:
            return replace(rule, path=f"/{name}/status")
        case 2:
            return replace(rule, host=host, path=prefix)
        case 3:
            return replace(rule, path=f"/{name}/*/orders")
        case 4:
            return replace(rule, path=prefix, method=method)
        case 5:
            return replace(rule, path=prefix, header=("X-Tenant", f"tenant-{number}"))
        case 6:
            return replace(rule, host=f"*.{host}")
        case 7:
            return replace(rule, path=prefix, query=("plan", f"p{number}"))
        case 8:
            return replace(rule, path=prefix, header=("X-Client", f"*mobile-{number}*"))
        case _:
            return replace(rule, host=host, path=prefix, method="POST" if method == "GET" else "GET")


def request_for(rule: Rule) -> Request:
    """Return a request that `rule` takes."""
    request = Request(path="/elsewhere/at/all")
    if rule.host is not None:
        request = replace(request, host=rule.host.replace("*", "eu"))
    if rule.path is not None:
        request = replace(request, path=rule.path.replace("*", "17/items" if rule.path_prefix else "17"))
    if rule.header is not None:
        request = replace(request, header=(rule.header[0], rule.header[1].replace("*", "-")))
    if rule.query is not None:
        request = replace(request, query=f"page=2&{rule.query[0]}={rule.query[1]}&sort=name")
    return replace(request, method=rule.method or "GET")


def load(table: Table) -> tuple[Request, ...]:
    """Return the GET requests of the load: rules 0, 11, 22, ..., 99 of a hundred, and one for the default.

    Of `mixed_rules` one of each kind of rule, one of each tenth of the table, the first and the last rule among
    them: as many whatever the table's size.
    """
    rules = table.rules if len(table.rules) > 1 else mixed_rules().rules
    last = len(rules) // KINDS - 1
    chosen = [rules[round(kind * last / (KINDS - 1)) * KINDS + kind] for kind in range(KINDS)]
    return (*(request_for(rule) for rule in chosen), Request(path="/of/no/rule", query="page=2"))


def probes(table: Table) -> Iterator[Request]:
    """Yield requests that tell a faithful configuration from one that is not.

    For every rule one that it takes, one that misses it by each single condition, and for rules on the host
    alone one whose path belongs to an earlier and one whose path belongs to a later rule.
    """
    by_path = [rule for rule in table.rules if rule.path is not None and rule.host is None]
    for rule in table.rules:
        hit = request_for(rule)
        yield hit
        if rule.host is not None:
            yield replace(hit, host="other.example.org")
        if rule.path is not None and rule.path != "/*":
            yield replace(hit, path="/not" + hit.path)
        if rule.method is not None:
            yield replace(hit, method="POST" if rule.method == "GET" else "GET")
        if rule.header is not None:
            yield replace(hit, header=(rule.header[0], "nobody"))
            yield replace(hit, header=None)
        if rule.query is not None:
            yield replace(hit, query="plan=none")
        if rule.host is not None and rule.path is None:
            for other in (by_path[0], by_path[-1]):
                yield replace(request_for(other), host=hit.host)


def _until_catch_all(rules: Sequence[Rule], host: str | None) -> Iterator[Rule]:
    for rule in rules:
        if rule.host is not None and rule.host != host:
            continue
        yield rule
        if rule.host is not None and replace(rule, host=None) == Rule(rule.name, rule.group):
            return


def _covers(pattern: str, subject: str) -> bool:
    start, star, end = pattern.partition("*")
    if not star:
        return pattern == subject
    return len(subject) >= len(start) + len(end) and subject.startswith(start) and subject.endswith(end)


def _has(condition: tuple[str, str], request: Request) -> bool:
    name, value = condition
    if request.header is None or request.header[0] != name:
        return False
    return value.strip("*") in request.header[1] if value.startswith("*") else value == request.header[1]
