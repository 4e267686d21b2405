"""`strangler serve`: the gateway and its admin port, until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import socket

import uvicorn

from proxy.admin.app import create_admin
from proxy.app import create_app
from proxy.cli.ports import ServerPorts, bind
from proxy.config.load import load_with_warnings
from proxy.config.model import Config
from proxy.config.problem import ConfigError, Problem
from proxy.control import Control, read_table
from proxy.listen.protocol import ListenerProtocol
from proxy.observe.access_log import FORMATS, AccessLog

DRAIN_SECONDS = 30
"""How long requests in flight may take to end after SIGTERM."""

logger = logging.getLogger("proxy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; each has an environment variable STRANGLER_<FLAG>."""
    parser.add_argument("--config", metavar="FILE", default="routes.yaml", help="the rule table (routes.yaml)")
    parser.add_argument("--host", default="", help="address that the listeners bind to (every address)")
    parser.add_argument("--admin-host", default="127.0.0.1", help="address of the admin port (127.0.0.1)")
    parser.add_argument("--admin-port", type=int, default=9901, help="the admin port (9901)")
    parser.add_argument(
        "--admin-allowed-hosts", default="", metavar="NAME,...", help="further names the admin port is called by"
    )
    parser.add_argument("--access-log", metavar="FILE", default=None, help="one line a request; - for standard output")
    parser.add_argument("--access-log-format", choices=sorted(FORMATS), default="json", help="(json)")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="of the log on stderr (info)"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; return 0 after a drain, 2 if the first table is bad, 1 if a port is taken."""
    logging.basicConfig(
        level=args.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # What servers and clients of the admin port and of health checks say is not the gateway's own log.
    for name in ("uvicorn", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    path = Path(args.config)
    try:
        config, warnings = load_with_warnings(read_table(path), os.environ, str(path))
    except OSError as error:
        print(f"strangler: cannot read {path}: {error.strerror}", file=sys.stderr)
        return 2
    except ConfigError as error:
        for problem in error.problems:
            print(f"{path}:{problem}", file=sys.stderr)
        return 2
    for problem in warnings:
        print(f"{path}:{problem}", file=sys.stderr)
    try:
        sockets = [bind(args.host, listener.port) for listener in config.listeners]
        admin_socket = bind(args.admin_host, args.admin_port)
        access_log = AccessLog.open(args.access_log, args.access_log_format) if args.access_log else None
    except OSError as error:
        print(f"strangler: {error.strerror or error}{_hint(error)}", file=sys.stderr)
        return 1
    return _run(path, config, warnings, sockets, admin_socket, access_log, args)


def _run(
    path: Path,
    config: Config,
    problems: list[Problem],
    sockets: list[socket],
    admin_socket: socket,
    access_log: AccessLog | None,
    args: argparse.Namespace,
) -> int:
    async def serve() -> None:
        control = Control(path, config, problems=problems, access_log=access_log)
        server = uvicorn.Server(listener_config(control))
        control.ports = ServerPorts(server, args.host)
        admin = _Admin(
            uvicorn.Config(
                create_admin(
                    control,
                    host=args.admin_host,
                    token=os.environ.get("STRANGLER_ADMIN_TOKEN") or None,
                    allowed_hosts=[name for name in args.admin_allowed_hosts.split(",") if name],
                ),
                lifespan="off",
                log_config=None,
                access_log=False,
                ws="none",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        serving_admin = asyncio.create_task(admin.serve([admin_socket]))
        logger.info(
            "serving %s on port %s, admin on http://%s:%d",
            path,
            ", ".join(str(listener.port) for listener in config.listeners),
            args.admin_host,
            admin_socket.getsockname()[1],
        )
        tune_garbage_collector()
        try:
            await server.serve(sockets)
        finally:
            admin.should_exit = True
            await serving_admin

    with contextlib.suppress(KeyboardInterrupt):
        # uvicorn raises the signal that stopped it again once it has drained.
        _run_loop(serve())
    return 0


def listener_config(control: Control) -> uvicorn.Config:
    """How uvicorn runs the listener door; it adds no header of its own and takes none for the client's address."""
    return uvicorn.Config(
        create_app(control),
        http=ListenerProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class _Admin(uvicorn.Server):
    """A second server in the process: the signals are the first one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def tune_garbage_collector() -> None:
    """Keep what was made at the start out of every later collection, and collect less often.

    A forwarded request leaves no reference cycle behind, so frequent collections find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _run_loop(main: object) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)  # type: ignore[arg-type]
    else:
        uvloop.run(main)  # type: ignore[arg-type]


def _hint(error: OSError) -> str:
    return " (is another gateway running? choose another port)" if error.errno == 98 else ""
