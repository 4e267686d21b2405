"""`strangler candidates`: what to carve out next."""

from __future__ import annotations

import argparse

from proxy.cli.flags import UsageError
from proxy.cli.log_workload import add_log_arguments, read_logs
from proxy.cli.terminal import columns, visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_log_arguments(parser)
    parser.add_argument("--limit", metavar="N", type=int, default=20, help="how many transactions to show")


def run(args: argparse.Namespace) -> int:
    """Return 0; raise UsageError when there are no logs to read."""
    workload = read_logs(args)
    if workload is None:
        raise UsageError("name the logs with --from LOG...")
    from proxy.carveout.logs.table import rows

    for line in columns(rows(workload, args.limit)):
        print(visible(line))
    return 0
