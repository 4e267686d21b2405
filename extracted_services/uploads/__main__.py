"""`python -m extracted_services.uploads --host 127.0.0.1 --port 8003 --bucket photos`."""

import argparse
import os

import uvicorn

from extracted_services.uploads.app import create_app
from extracted_services.uploads.request_log import log_config


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.uploads", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("UPLOADS_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("UPLOADS_PORT", "8003"), help="0: a free port")
    parser.add_argument("--bucket", default=os.environ.get("UPLOADS_BUCKET", "photos"), help="it must be there")
    parser.add_argument(
        "--patience",
        type=float,
        default=os.environ.get("UPLOADS_PATIENCE", "5"),
        help="seconds to wait for a size that is not made yet",
    )
    flags = parser.parse_args()
    uvicorn.run(
        create_app(flags.bucket, flags.patience),
        host=flags.host,
        port=flags.port,
        server_header=False,
        access_log=False,
        log_config=log_config(),
        headers=[("X-Served-By", "uploads")],
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
