"""`python -m extracted_services.contacts --host 127.0.0.1 --port 8004 --data DIR`."""

import argparse
import os
from pathlib import Path

import uvicorn

from extracted_services.contacts.app import create_app
from extracted_services.contacts.request_log import log_config


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.contacts", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("CONTACTS_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("CONTACTS_PORT", "8004"), help="0: a free port")
    parser.add_argument("--data", type=Path, default=os.environ.get("CONTACTS_DATA", "./contacts-data"))
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=os.environ.get("CONTACTS_MAX_BYTES", str(10 * 1024 * 1024)),
        help="of an upload; the monolith takes 10 MiB",
    )
    flags = parser.parse_args()
    uvicorn.run(
        create_app(flags.data, flags.max_bytes),
        host=flags.host,
        port=flags.port,
        server_header=False,
        access_log=False,
        log_config=log_config(),
        headers=[("X-Served-By", "contacts")],
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
