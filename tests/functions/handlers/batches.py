"""Handlers of batches: each notes what it got, and fails as the records say."""

import base64
import json
import os
from pathlib import Path


def _note(line):
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(json.dumps(line) + "\n")


def queue(event, context):
    bodies = [record["body"] for record in event["Records"]]
    _note(bodies)
    if "poison" in bodies:
        raise ValueError("poison")
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def stream(event, context):
    texts = [base64.b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
    _note(texts)
    if "poison" in texts:
        raise ValueError("poison")
    failed = [
        record["kinesis"]["sequenceNumber"]
        for record, text in zip(event["Records"], texts, strict=True)
        if text == "bad"
    ]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}


def window(event, context):
    _note([len(event["Records"]), event["state"], event["isFinalInvokeForWindow"]])
    return {"state": {"count": event["state"].get("count", 0) + len(event["Records"])}}


def raw(event, context):
    _note(event)
