"""Handlers that do what a test needs."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

COUNTER = {"calls": 0}
logging.getLogger().setLevel("INFO")


def echo(event, context):
    return event


def context(event, context):
    return {
        "request_id": context.aws_request_id,
        "name": context.function_name,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "log_group": context.log_group_name,
        "remaining": context.get_remaining_time_in_millis(),
        "client": context.client_context.custom if context.client_context else None,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "region": os.environ["AWS_REGION"],
        "stage": os.environ.get("STAGE"),
        "secret": os.environ.get("SECRET_OF_THE_HOST"),
    }


def count(event, context):
    COUNTER["calls"] += 1
    return {"calls": COUNTER["calls"], "pid": os.getpid()}


def fail(event, context):
    raise ValueError("no such order")


def die(event, context):
    os._exit(event.get("status", 1))


def killed(event, context):
    os.kill(os.getpid(), 9)


def unserialisable(event, context):
    return {"value": object()}


def big(event, context):
    return "x" * event["size"]


def sleep(event, context):
    time.sleep(event["seconds"])
    return "awake"


def hold(event, context):
    """Says that it has begun, and ends when it is told to."""
    Path(event["begun"]).touch()
    while not Path(event["go_on"]).exists():
        time.sleep(0.01)
    return "held"


def talk(event, context):
    print("printed")
    print("to stderr", file=sys.stderr)
    logging.info("logged")
    print(json.dumps({"level": "INFO", "order": 7}))
    return


def leave_a_child(event, context):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(event["file"]).write_text(str(child.pid))
    time.sleep(600)


def rendezvous(event, context):
    """Returns once as many calls as asked for are at work at the same time."""
    folder = Path(event["folder"])
    (folder / context.aws_request_id).touch()
    deadline = time.monotonic() + 20
    while len(list(folder.iterdir())) < event["callers"]:
        if time.monotonic() > deadline:
            return "alone"
        time.sleep(0.01)
    return "together"


def note(event, context):
    """Appends the event to a file; fails if the event says so."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(json.dumps({"id": context.aws_request_id, "event": event}) + "\n")
    if isinstance(event, dict) and event.get("fail"):
        raise RuntimeError("as told")
    return {"noted": True}


def after_answer(event, context):
    """Ends the process behind the runtime's back, once it has answered."""
    import threading

    threading.Timer(0.2, os._exit, [3]).start()
    return os.getpid()


def layered(event, context):
    import from_layer

    return from_layer.VALUE


def metrics(event, context):
    print(
        json.dumps(
            {
                "_aws": {
                    "Timestamp": 1,
                    "CloudWatchMetrics": [
                        {
                            "Namespace": "Shop",
                            "Dimensions": [["service"]],
                            "Metrics": [{"Name": "resized", "Unit": "Count"}],
                        }
                    ],
                },
                "service": "photos",
                "resized": [1, 2],
            }
        )
    )
