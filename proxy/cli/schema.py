"""`strangler schema`: the JSON Schema of routes.yaml."""

from __future__ import annotations

import argparse
import json

from proxy.config.schema import json_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(args: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0
