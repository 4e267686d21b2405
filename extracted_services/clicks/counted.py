"""`python -m extracted_services.clicks.counted`: what is counted so far, one JSON object a line."""

import argparse
import json

import boto3


def main() -> None:
    """Show the whole table."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.clicks.counted", description=__doc__)
    parser.add_argument("--table", default="clicks")
    flags = parser.parse_args()
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=flags.table, ConsistentRead=True)
    items = [item for page in pages for item in page["Items"]]
    for item in sorted(items, key=lambda item: (item["page"]["S"], item["minute"]["S"])):
        count = {"page": item["page"]["S"], "minute": item["minute"]["S"], "clicks": int(item["clicks"]["N"])}
        print(json.dumps(count), flush=True)


if __name__ == "__main__":
    main()
