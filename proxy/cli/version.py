"""`strangler version`."""

from __future__ import annotations

import argparse

from proxy import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(args: argparse.Namespace) -> int:
    print(f"strangler {__version__}")
    return 0
