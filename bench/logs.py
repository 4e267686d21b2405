"""How fast and in how much memory does `strangler candidates --from` read a load balancer's log?

    python -m bench.logs [--lines 10000000] [--forms plain gzip] [--folder DIR] [--memory 1GB]

A log is made up like those that an Application Load Balancer writes to S3: two nodes, a day's curve, routes with ids,
a browser's user agents, scanners, a few failed requests and a bad line in each file. It is written plain and compressed
(about 0.5 GB and 0.07 GB for a million lines), then read in a process of its own. Printed for each form: lines a
second, peak memory. Exit code 0 if no line was lost, each bad one was reported and the memory stayed below
`--most-mb`, else 1.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

LINES_A_FILE = 250_000
DAY = 86_400
STARTED_AT = 1_790_000_000

# Method, path, share of the requests, mean seconds, response bytes.
ROUTES = (
    ("GET", "/", 120, 0.02, 9_000),
    ("GET", "/products", 90, 0.09, 30_000),
    ("GET", "/products/{word}-{int}", 200, 0.05, 14_000),
    ("GET", "/products/{int}/reviews", 60, 0.07, 6_000),
    ("POST", "/products/{int}/reviews", 3, 0.12, 400),
    ("GET", "/search", 80, 0.35, 22_000),
    ("GET", "/cart", 70, 0.04, 2_500),
    ("POST", "/cart/items", 30, 0.06, 600),
    ("DELETE", "/cart/items/{int}", 8, 0.05, 200),
    ("POST", "/checkout", 9, 0.9, 1_200),
    ("POST", "/payments", 8, 1.4, 700),
    ("GET", "/orders", 20, 0.15, 9_000),
    ("GET", "/orders/{int}", 25, 0.08, 4_000),
    ("GET", "/orders/{int}/invoice.pdf", 4, 1.1, 180_000),
    ("GET", "/recommendations", 50, 0.8, 8_000),
    ("GET", "/images/{hex}/{int}x{int}.webp", 150, 0.25, 60_000),
    ("POST", "/uploads", 2, 2.5, 300),
    ("GET", "/api/v1/users/{uuid}", 40, 0.03, 900),
    ("PUT", "/api/v1/users/{uuid}", 4, 0.09, 500),
    ("GET", "/api/v1/users/{uuid}/friends", 15, 0.6, 5_000),
    ("GET", "/admin/reports/{date}", 1, 6.0, 400_000),
    ("POST", "/login", 12, 0.2, 800),
    ("POST", "/signup", 2, 0.3, 800),
)
WORDS = ("red", "blue", "shirt", "shoes", "summer", "winter", "cotton", "leather", "classic", "sport", "kids", "sale")
AGENTS = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64")
    for version in range(120, 141)
)
SCANNED = ("/wp-login.php", "/.env", "/phpmyadmin/index.php", "/.git/config", "/vendor/phpunit/eval-stdin.php")
GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/monolith/73e2d6bc24d8a067"


def path_of(pattern: str, draw: random.Random) -> str:
    """A path of a route; popular ids come more often."""
    while "{" in pattern:
        kind = pattern[pattern.index("{") : pattern.index("}") + 1]
        number = int(draw.paretovariate(0.7)) % 1_000_000
        value = {
            "{int}": lambda number=number: str(number),
            "{word}": lambda: f"{draw.choice(WORDS)}-{draw.choice(WORDS)}",
            "{hex}": lambda number=number: f"{number * 2_654_435_761 % 2**64:016x}",
            "{uuid}": lambda number=number: f"{number % 2**32:08x}-0000-4000-8000-{number * 40_503 % 2**48:012x}",
            "{date}": lambda number=number: f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        }[kind]()
        pattern = pattern.replace(kind, value, 1)
    return pattern


def write_file(path: Path, number: int, files: int, lines: int) -> None:
    """One file of the log: a stretch of the day as one node saw it; its last line is a bad one."""
    draw = random.Random(number)
    routes = draw.choices(ROUTES, [route[2] for route in ROUTES], k=lines)
    clients = [f"{draw.randrange(1, 224)}.{draw.randrange(256)}.{draw.randrange(256)}.7" for _ in range(5000)]
    begin, length = STARTED_AT + DAY * (number // 2) / ((files + 1) // 2), DAY / ((files + 1) // 2)
    second, text = -1, ""
    with path.open("w", encoding="ascii") as file:
        for index, (method, pattern, _, mean, size) in enumerate(routes):
            created = begin + length * (index + draw.random()) / lines
            taken = draw.lognormvariate(-0.5, 1) * mean
            status = 200 if draw.random() > 0.01 else draw.choice((302, 400, 404, 500))
            where = path_of(pattern, draw)
            if index % 200 == 0:
                method, where, status, taken = "GET", draw.choice(SCANNED), 404, 0.002
            times, target = f"0.001 {taken:.3f} 0.000", f"10.0.0.{index % 3 + 4}:8080"
            if index % 5000 == 1:
                times, status, taken = "-1 -1 -1", 504, 60.0
            if int(created) != second:
                second = int(created)
                text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            ended = created + 0.001 + taken
            end = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ended)) if int(ended) != second else text
            agent = AGENTS[draw.randrange(5000) % len(AGENTS)]
            target_status = "-" if status == 504 else str(status)
            file.write(
                f"https {end}.{int(ended % 1 * 1e6):06d}Z app/shop/50dc6c495c0c9188"
                f" {clients[draw.randrange(5000)]}:{1024 + index % 60000} {target} {times} {status} {target_status}"
                f' {300 + index % 700} {size} "{method} https://shop.example.com:443{where} HTTP/2.0" "{agent}"'
                f' TLS_AES_128_GCM_SHA256 TLSv1.3 {GROUP} "Root=1-{index:08x}-36d228ad5d99923122bbe354"'
                f' "shop.example.com" "session-reused" 0 {text}.{int(created % 1 * 1e6):06d}Z "forward" "-" "-"'
                f' "{target}" "{target_status}" "-" "-" TID_{index:032x} "-" "-" "-"\n'
            )
        file.write("cut short in the mid\n")


def write_log(folder: Path, lines: int, forms: list[str]) -> int:
    """Write the log in each form; return how many files there are of it."""
    files = -(-lines // LINES_A_FILE)
    counts = [min(LINES_A_FILE, lines - number * LINES_A_FILE) for number in range(files)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        paths = [
            folder / "plain" / f"{number // 24:03d}" / f"node{number % 2}_{number:05d}.log" for number in range(files)
        ]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        list(pool.map(write_file, paths, range(files), [files] * files, counts))
        if "gzip" in forms:
            list(pool.map(compress, paths, [folder / "gzip" / f"{path.name}.gz" for path in paths]))
    return files


def compress(plain: Path, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(plain.read_bytes(), compresslevel=2, mtime=0))


def read(folder: Path, memory: str) -> tuple[float, float, float, str]:
    """Run the command; return seconds, CPU seconds, peak MB and what it said."""
    script = (
        "import resource, sys; from proxy.cli import main; code = main(sys.argv[1:]); "
        "used = resource.getrusage(resource.RUSAGE_SELF); "
        "print(used.ru_maxrss // 1024, used.ru_utime + used.ru_stime, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "candidates", "--from", str(folder), "--memory", memory]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"strangler candidates ended with {done.returncode}: {done.stderr}")
    *said, used = done.stderr.splitlines()
    peak, cpu = map(float, used.split())
    return seconds, cpu, peak, "\n".join([*said, done.stdout])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--forms", nargs="+", choices=("plain", "gzip"), default=["plain", "gzip"])
    parser.add_argument("--folder", help="where the log is written; a temporary folder")
    parser.add_argument("--memory", default="1GB", help="given to the command")
    parser.add_argument("--most-mb", type=float, default=2500, help="of memory that the command may take")
    args = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="bench-logs-") as name:
        folder = Path(name)
        started = time.monotonic()
        files = write_log(folder, args.lines, args.forms)
        print(f"{args.lines} lines in {files} files written in {time.monotonic() - started:.0f} s", flush=True)
        for form in args.forms:
            size = sum(path.stat().st_size for path in (folder / form).rglob("*.*")) / 1e9
            seconds, cpu, peak, said = read(folder / form, args.memory)
            whole = said.startswith(f"{args.lines + files} lines ") and f"{files} line" in said
            good = good and whole and peak <= args.most_mb
            print(f"{form}: {size:.2f} GB, {seconds:.1f} s ({cpu:.1f} s of CPU), {args.lines / seconds:.0f} lines/s,")
            print(f"  peak {peak:.0f} MB, {'every line accounted for' if whole else 'LINES LOST'}")
            print(said, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
