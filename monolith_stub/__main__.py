"""`python -m monolith_stub --host 127.0.0.1 --port 8000 --data DIR`."""

import os
import sys

import uvicorn

from monolith_stub.app import create_app
from monolith_stub.redact import log_config
from monolith_stub.settings import parse_settings


def main() -> None:
    """Serve the shop until SIGTERM or SIGINT, then finish the requests in flight."""
    settings = parse_settings(sys.argv[1:], os.environ)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=log_config(),
        server_header=False,
        access_log=False,
        # Set by the server and not by the application, so that a 500 carries it too.
        headers=[("X-Served-By", "monolith")],
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
