"""The mixed table of the benchmarks as a table of ours, and how long one decision takes.

python -m tests.rules.mixed
"""

from __future__ import annotations

import timeit

from bench.hot_path import conditions_of
from bench.table import Request, mixed_rules, request_for
from proxy.config.model import ForwardConfig, ListenerConfig, RuleConfig
from proxy.rules.compile import compile_table
from proxy.rules.request import RequestView

COUNTS = (10, 100, 1_000, 10_000)


def listener(count: int) -> ListenerConfig:
    """The first `count` rules of the mixed table."""
    rules = tuple(
        RuleConfig(rule.name, number, tuple(conditions_of(rule)), ForwardConfig(((rule.group, 1),)))
        for number, rule in enumerate(mixed_rules(count).rules, start=1)
    )
    return ListenerConfig("mixed", 80, ForwardConfig((("monolith", 1),)), rules)


def view_of(request: Request) -> RequestView:
    """The request as the rules see it, with the headers that the load generator sends."""
    headers = [("Host", request.host), ("User-Agent", "bench/1.0"), ("Accept", "*/*")]
    if request.header:
        headers.append(request.header)
    return RequestView.of(request.method, request.target, headers)


def requests(count: int) -> dict[str, list[Request]]:
    """Ten requests each, one of each kind of rule, that are taken early, late, and by no rule."""
    rules = mixed_rules(count).rules
    return {
        "early": [request_for(rule) for rule in rules[:10]],
        "late": [request_for(rule) for rule in rules[-10:]],
        "default": [Request(path=f"/of/no/rule/{number}", query="page=2") for number in range(10)],
    }


def main() -> None:
    """Print microseconds for one decision, the best of seven rounds."""
    print(f"{'rules':>6} {'compile s':>10} {'early':>7} {'late':>7} {'default':>8}")
    for count in COUNTS:
        written = listener(count)
        compile_seconds = timeit.timeit(lambda written=written: compile_table(written), number=1)
        evaluate = compile_table(written).evaluate
        row = []
        for group in requests(count).values():
            views = [view_of(request) for request in group]
            loop = timeit.Timer("for view in views: evaluate(view)", globals={"views": views, "evaluate": evaluate})
            row.append(min(loop.repeat(7, 2_000)) / 2_000 / len(views) * 1e6)
        print(f"{count:>6} {compile_seconds:>10.2f} {row[0]:>7.2f} {row[1]:>7.2f} {row[2]:>8.2f}")


if __name__ == "__main__":
    main()
