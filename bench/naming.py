"""How well requests name themselves, on route sets whose truth is known.

python -m bench.naming [--routes DIR] [--seeds 3] [--requests 60000]

Each file of DIR has one route a line, `GET /orders/{order_id}`. `bench/route_traffic.py` makes up requests for them,
which are named and learned as the gateway does it: a request without a name yet is counted under the one that it gets
once it has one. Printed for each set and seed: operations seen, names made, recovered operations. An operation is
recovered when nine tenths of its requests have one name, and nine tenths of that name's requests are its own.

Exit code 0 when 95 % of operations with 50 or more requests are recovered with at most two names for each operation
seen, and the flood tests stay under the cap; 1 when not.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean

from bench.route_traffic import BASE62, SCANNED, WORDS, Request, read_routes, traffic
from proxy.carveout.naming import DEFAULT_LIMIT, UNMATCHED, Namer

ROUTES = Path(__file__).parent / "data" / "routes"
MIN_REQUESTS = 50
MIN_SHARE = 0.9


class Count:
    """Names a stream of requests as the gateway does, and keeps the account."""

    def __init__(self) -> None:
        self.namer = Namer()
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.made: set[str] = set()
        self._waiting: Counter[tuple[str | None, bytes, bytes]] = Counter()
        self._until_settled = 64
        self._seen = 0

    def take(self, request: Request) -> None:
        method, path = request.method.encode(), request.path.encode()
        name = self.namer.find(method, path)
        operation = request.operation or "scan"
        if name is not None:
            self.counts[operation][name] += 1
        else:
            self._waiting[operation, method, path] += 1
        self.namer.learn(method, path, request.status, request.client)
        self._seen += 1
        self._until_settled -= 1
        if not self._until_settled:
            self._until_settled = max(self._seen // 10, 64)
            self.settle()

    def settle(self, *, at_leisure: bool = False) -> None:
        self.namer.settle(at_leisure=at_leisure)
        self.made.update(template.name for template in self.namer.learned)
        for waiting, count in list(self._waiting.items()):
            operation, method, path = waiting
            name = self.namer.find(method, path)
            if name is not None or at_leisure:
                self.counts[operation or "scan"][name or UNMATCHED] += count
                del self._waiting[waiting]

    def end(self) -> None:
        self.settle(at_leisure=True)
        self.settle(at_leisure=True)

    def merged(self) -> dict[str, Counter[str]]:
        """The counts by what each name is called now."""
        new = {rename.old: rename.new for rename in self.namer.renames}

        def now(name: str) -> str:
            for _ in range(8):
                name = new.get(name, name) if name not in current else name
            return name

        current = {template.name for template in self.namer.learned}
        merged: dict[str, Counter[str]] = defaultdict(Counter)
        for operation, names in self.counts.items():
            for name, count in names.items():
                merged[operation][now(name)] += count
        return merged


def recovered(counts: dict[str, Counter[str]]) -> tuple[list[str], list[str]]:
    """Operations with enough requests: recovered, and not."""
    by_name: Counter[str] = Counter()
    for names in counts.values():
        by_name.update(names)
    good, bad = [], []
    for operation, names in counts.items():
        total = sum(names.values())
        if operation == "scan" or total < MIN_REQUESTS:
            continue
        name, count = names.most_common(1)[0]
        is_good = name != UNMATCHED and count >= MIN_SHARE * total and count >= MIN_SHARE * by_name[name]
        (good if is_good else bad).append(operation)
    return good, bad


def measure(path: Path, requests: int, seed: int, verbose: bool) -> tuple[float, float]:
    """Print the line of one set and seed; return the share recovered and the names for each operation."""
    count = Count()
    began = time.perf_counter()
    for request in traffic(read_routes(path), requests, seed=seed):
        count.take(request)
    count.end()
    seconds = time.perf_counter() - began
    seen = len(count.counts) - 1
    good, bad = recovered(count.counts)
    merged, _ = recovered(count.merged())
    share, names = len(good) / max(len(good) + len(bad), 1), len(count.made) / seen
    print(
        f"{path.stem:<14} {seed:>4} {seen:>10} {len(count.made):>6} {names:>9.2f} {len(count.namer.learned):>8}"
        f" {share:>9.1%} {len(merged) / max(len(good) + len(bad), 1):>8.1%} {seconds / requests * 1e6:>9.1f}"
    )
    if verbose:
        for operation in bad:
            print(f"    not recovered: {operation}: {count.counts[operation].most_common(4)}")
        for rename in list(count.namer.renames)[:20]:
            print(f"    renamed: {rename.old} -> {rename.new}")
        known = {_plain(route) for route in count.counts}
        for template in count.namer.learned:
            if _plain(template.name) not in known:
                print(f"    further: {template.name} {template.requests}")
    return share, names


def _plain(route: str) -> str:
    return re.sub(r"\{[^}]*\}", "{id}", route)


def flood(title: str, paths: list[str], status: int) -> int:
    """Names made by so many paths, beside an API that has its own; returns how many."""
    count = Count()
    shop = list(traffic(read_routes(ROUTES / "shop.txt"), len(paths), seed=1))
    for number, path in enumerate(paths):
        count.take(Request(None, "GET", path, status, number))
        count.take(shop[number])
    count.end()
    good, bad = recovered(count.counts)
    print(f"{title:<44} {len(count.made):>6} names, {len(good)} of {len(good) + len(bad)} operations recovered")
    return len(count.made)


def random_paths(number: int) -> list[str]:
    rng = random.Random(7)

    def word() -> str:
        return rng.choice((rng.choice(WORDS) + rng.choice(WORDS), "".join(rng.choices(BASE62, k=rng.randrange(1, 30)))))

    return ["/" + "/".join(word() for _ in range(rng.randrange(1, 8))) for _ in range(number)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--routes", type=Path, default=ROUTES, metavar="DIR", help="folder of route files")
    parser.add_argument("--requests", type=int, default=60_000, metavar="N", help="of each run")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each set")
    parser.add_argument("--seed", type=int, metavar="N", help="this one only")
    parser.add_argument("--verbose", action="store_true", help="tell what was not recovered, and every further name")
    parser.add_argument("--no-floods", action="store_true", help="leave the flood tests out")
    args = parser.parse_args()
    print(f"{'routes':<14} {'seed':>4} {'operations':>10} {'names':>6} {'names/op':>9} {'at end':>8} {'recovered':>9}"
          f" {'merged':>8} {'µs/req':>9}")  # fmt: skip
    results = [
        measure(path, args.requests, seed, args.verbose)
        for path in sorted(args.routes.glob("*.txt"))
        for seed in (range(args.seeds) if args.seed is None else [args.seed])
    ]
    worst_share, worst_names = min(share for share, _ in results), max(names for _, names in results)
    average = mean(share for share, _ in results)
    print(
        f"recovered: {average:.1%} on average, {worst_share:.1%} at worst;"
        f" names for each operation: {worst_names:.2f} at most"
    )
    ok = average >= 0.95 and worst_names <= 2
    if not args.no_floods:
        rng = random.Random(3)
        scans = [f"{rng.choice(SCANNED)}?{n}".replace("?", rng.choice(("", "/", "~"))) for n in range(5000)]
        most = max(
            flood("100 000 random paths, answered with 404", random_paths(100_000), 404),
            flood("100 000 random paths, answered with 200", random_paths(100_000), 200),
            flood("5 000 scanner paths, answered with 404", scans, 404),
            flood("5 000 scanner paths, answered with 200", scans, 200),
        )
        ok = ok and most <= DEFAULT_LIMIT
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
