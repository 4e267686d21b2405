"""`python -m extracted_services.recommendations --host 127.0.0.1 --port 8002 --data DIR`."""

import argparse
import os
from pathlib import Path

import uvicorn

from extracted_services.recommendations.app import create_app
from extracted_services.recommendations.request_log import log_config


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.recommendations", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("RECOMMENDATIONS_HOST", "127.0.0.1"))
    parser.add_argument(
        "--port", type=int, default=os.environ.get("RECOMMENDATIONS_PORT", "8002"), help="0: a free port"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("RECOMMENDATIONS_DATA", "./recommendations-data"))
    flags = parser.parse_args()
    uvicorn.run(
        create_app(flags.data),
        host=flags.host,
        port=flags.port,
        server_header=False,
        access_log=False,
        log_config=log_config(),
        headers=[("X-Served-By", "recommendations")],
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
