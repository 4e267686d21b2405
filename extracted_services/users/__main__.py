"""`python -m extracted_services.users --host 127.0.0.1 --port 8001 --data DIR`."""

import argparse
import os
from pathlib import Path

import uvicorn

from extracted_services.users.app import create_app
from extracted_services.users.delivery import delivery_from_environment
from extracted_services.users.request_log import log_config


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight; other events wait in the outbox."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.users", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("USERS_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("USERS_PORT", "8001"), help="0: a free port")
    parser.add_argument("--data", type=Path, default=os.environ.get("USERS_DATA", "./users-data"))
    flags = parser.parse_args()
    try:
        delivery = delivery_from_environment(os.environ, flags.data)
    except ValueError as error:
        parser.error(str(error))
    uvicorn.run(
        create_app(flags.data, delivery),
        host=flags.host,
        port=flags.port,
        server_header=False,
        access_log=False,
        log_config=log_config(),
        headers=[("X-Served-By", "users")],
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
