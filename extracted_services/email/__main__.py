"""`python -m extracted_services.email --data DIR`: the email team's worker.

AWS_ENDPOINT_URL says where the queue is; unset, it is AWS.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import closing
from pathlib import Path

from extracted_services.email.logs import log
from extracted_services.email.mail import mailer_from_environment
from extracted_services.email.queue import Queue, QueueError
from extracted_services.email.stop import Stop
from extracted_services.email.store import Store
from extracted_services.email.worker import Worker


def main() -> int:
    """Work until SIGTERM or SIGINT; return 1 if there is no such queue."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.email", description=__doc__)
    parser.add_argument("--queue", default=os.environ.get("EMAIL_QUEUE", "email-welcome"), help="its name")
    parser.add_argument("--data", type=Path, default=os.environ.get("EMAIL_DATA", "./email-data"))
    flags = parser.parse_args()
    try:
        mailer = mailer_from_environment(os.environ, flags.data)
    except ValueError as error:
        parser.error(str(error))
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.on_signal)
    try:
        queue = Queue(flags.queue)
    except QueueError as error:
        log("error", f"{error}; is it made? python -m extracted_services.email.setup")
        return 1
    with closing(Store(flags.data)) as store:
        log("info", "working", queue=flags.queue, visibility_seconds=queue.visibility_seconds)
        Worker(queue, store, mailer, stop).run()
    log("info", "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
