"""What a decision of the rule table costs as the table grows: `python -m bench.rules --help`.

In process, without I/O. The tables are those of the comparison, larger and smaller. The requests are for
rules of every kind in every part of the table, and each is evaluated on a view of its own, as in the gateway.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Sequence

from bench.processes import BenchError
from bench.table import KINDS, Request, Rule, mixed_rules, request_for
from proxy.config.model import (
    ConditionConfig,
    ConditionField,
    ForwardConfig,
    ListenerConfig,
    QueryPair,
    RuleConfig,
)
from proxy.rules.compile import compile_table
from proxy.rules.request import RequestView
from proxy.rules.table import Table

SIZES = (10, 100, 1000, 10_000)
PLACES = 20
REPEATS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the largest table costs at most the goal times the smallest, 1 if not, 2 if one errs."""
    options = _parser().parse_args(arguments)
    sizes = sorted(options.sizes)
    tables = {size: (compile_rules(mixed_rules(size).rules), asked(mixed_rules(size).rules)) for size in sizes}
    runs: dict[int, list[float]] = {size: [] for size in sizes}
    try:
        for _ in range(options.rounds):
            for size in sizes:
                runs[size].append(seconds_per_decision(*tables[size]))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Others on the machine can only add to a time, so the lowest of the rounds is the cost.
    cost = {size: min(each) for size, each in runs.items()}
    print("rules   µs per decision (lowest, median)   ratio")
    for size in sizes:
        median = statistics.median(runs[size])
        print(f"{size:>5}   {cost[size] * 1e6:8.2f} {median * 1e6:8.2f}   {cost[size] / cost[sizes[0]]:16.2f}")
    ratio = cost[sizes[-1]] / cost[sizes[0]]
    passed = ratio <= options.goal
    verdict = "PASS" if passed else "FAIL"
    print(f"{verdict}: {sizes[-1]} rules cost {ratio:.2f} times {sizes[0]}, goal is at most {options.goal:g}")
    return 0 if passed else 1


def asked(rules: Sequence[Rule]) -> list[tuple[Request, str]]:
    """Return requests with the name of the rule that takes each: all kinds of rules, at `PLACES` places."""
    tens = len(rules) // KINDS
    places = [round(step * (tens - 1) / (PLACES - 1)) for step in range(PLACES)]
    chosen = [rules[place * KINDS + kind] for place in places for kind in range(KINDS)]
    nowhere = [(Request(path=f"/of/no/rule/{number}"), "default") for number in range(PLACES)]
    return [*((request_for(rule), rule.name) for rule in chosen), *nowhere]


def compile_rules(rules: Sequence[Rule]) -> Table:
    """Return the gateway's table with these rules."""
    configs = tuple(
        RuleConfig(rule.name, priority, conditions(rule), ForwardConfig(((rule.group, 1),)))
        for priority, rule in enumerate(rules, 1)
    )
    return compile_table(ListenerConfig("web", 80, ForwardConfig((("monolith", 1),)), configs))


def conditions(rule: Rule) -> tuple[ConditionConfig, ...]:
    """Return a rule's conditions as the gateway's configuration has them."""
    plain: dict[ConditionField, str | None] = {
        "host-header": rule.host,
        "path-pattern": rule.path,
        "http-request-method": rule.method,
    }
    found = [ConditionConfig(field, (value,)) for field, value in plain.items() if value is not None]
    if rule.header is not None:
        found.append(ConditionConfig("http-header", (rule.header[1],), header_name=rule.header[0]))
    if rule.query is not None:
        found.append(ConditionConfig("query-string", pairs=(QueryPair(*rule.query),)))
    return tuple(found)


def seconds_per_decision(table: Table, requests: Sequence[tuple[Request, str]]) -> float:
    """Return the mean time of one `evaluate`; raise BenchError if it finds another rule than it should."""
    views = [view_of(request) for _ in range(REPEATS) for request, _ in requests]
    evaluate = table.evaluate
    gc.disable()
    started = time.perf_counter()
    for view in views:
        evaluate(view)
    spent = time.perf_counter() - started
    gc.enable()
    for request, name in requests:
        if (found := evaluate(view_of(request)).name) != name:
            raise BenchError(f"{request.method} {request.target} is taken by {found}, not by {name}")
    return spent / len(views)


def view_of(request: Request) -> RequestView:
    lines = (line.partition(": ") for line in request.head.split("\r\n")[1:-2])
    return RequestView.of(request.method, request.target, [(name, value) for name, _, value in lines])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.rules", description=__doc__)
    add = parser.add_argument
    add("--sizes", type=_tens, nargs="+", default=list(SIZES), help="numbers of rules (default 10 to 10000)")
    add("--rounds", type=int, default=7, help="rounds over all sizes (default 7)")
    add("--goal", type=float, default=2.0, help="largest to smallest, at most (default 2.0)")
    return parser


def _tens(text: str) -> int:
    value = int(text)
    if value < KINDS or value % KINDS:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of {KINDS}")
    return value


if __name__ == "__main__":
    sys.exit(main())
