"""`python -m extracted_services.nightly_report --host 127.0.0.1 --port 8003 --data DIR --source SHOP_DATABASE`."""

import argparse
import os
from pathlib import Path

import uvicorn

from extracted_services.nightly_report.app import create_app
from extracted_services.nightly_report.request_log import log_config


def main() -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.nightly_report", description=__doc__)
    parser.add_argument("--host", default=os.environ.get("NIGHTLY_REPORT_HOST", "127.0.0.1"))
    parser.add_argument(
        "--port", type=int, default=os.environ.get("NIGHTLY_REPORT_PORT", "8003"), help="0: a free port"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("NIGHTLY_REPORT_DATA", "./nightly-report-data"))
    parser.add_argument(
        "--source",
        type=Path,
        default=os.environ.get("NIGHTLY_REPORT_SOURCE", "./monolith-data/shop.sqlite3"),
        help="the shop's database, only read",
    )
    flags = parser.parse_args()
    uvicorn.run(
        create_app(flags.data, flags.source),
        host=flags.host,
        port=flags.port,
        server_header=False,
        access_log=False,
        log_config=log_config(),
        headers=[("X-Served-By", "nightly-report")],
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
