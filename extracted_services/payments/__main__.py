"""`python -m extracted_services.payments --host 127.0.0.1 --port 8005 --data DIR`."""

import argparse
import os
from pathlib import Path

import uvicorn

from extracted_services.payments.app import create_app
from extracted_services.payments.redact import log_config


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.payments", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("PAYMENTS_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("PAYMENTS_PORT", "8005"), help="0: a free port")
    parser.add_argument("--data", type=Path, default=os.environ.get("PAYMENTS_DATA", "./payments-data"))
    flags = parser.parse_args()
    uvicorn.run(
        create_app(flags.data),
        host=flags.host,
        port=flags.port,
        server_header=False,
        access_log=False,
        headers=[("X-Served-By", "payments")],
        log_config=log_config(),
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
