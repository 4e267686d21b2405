"""`strangler serve`: the gateway and its admin port, until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any, cast

import uvicorn

from proxy.admin.app import create_admin
from proxy.admin.live import end_streams
from proxy.app import running
from proxy.carveout.cpu_sources import CpuSource, parse_cpu_source
from proxy.cli.flags import UsageError, port_number
from proxy.cli.logs import log_options, open_logs
from proxy.cli.ports import bind, tls_problems
from proxy.cli.problems import render
from proxy.cli.running import (
    DrainingServer,
    ListenerServer,
    QuietServer,
    listener_config,
    raise_open_files,
    run_loop,
    set_up_log,
    tune_garbage_collector,
)
from proxy.cli.state import open_state_dir
from proxy.cli.terminal import Paint
from proxy.cli.traces import add_endpoint_argument, endpoint_of, open_request_spans
from proxy.config.certificates import TableFiles
from proxy.config.cookie_key import KEY, KEY_FILE, CookieKeyError, cookie_key
from proxy.config.load import load_with_warnings
from proxy.config.model import Config
from proxy.config.problem import ConfigError, Problem, in_order
from proxy.control import Control, log_warnings, read_table
from proxy.observe.access_log import FORMATS, AccessLog
from proxy.observe.alb_lines import DEFAULT_ELB_NAME, ELB_NAME
from proxy.observe.connection_log import ConnectionLog
from proxy.observe.request_spans import RequestSpans
from proxy.rules.coverage import analyse
from proxy.workers.fleet import Fleet, WorkerStartError

MAX_WORKERS = 64
ADMIN_HEAD_BYTES = 64 * 1024
"""The largest head of a request to the admin port."""

logger = logging.getLogger("proxy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; each has an environment variable STRANGLER_<FLAG>."""
    parser.add_argument("--config", metavar="FILE", default="routes.yaml", help="the table")
    parser.add_argument("--host", default="", help="address that the listeners bind to (default: every address)")
    parser.add_argument("--admin-host", default="127.0.0.1", help="address of the admin port")
    parser.add_argument("--admin-port", type=port_number, default=9901, help="the admin port")
    parser.add_argument(
        "--admin-allowed-hosts", default="", metavar="NAME,...", help="further names the admin port is called by"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that forward")
    parser.add_argument(
        "--cookie-key-file", metavar="FILE", default="", help="key of stickiness cookies; made if it is not there"
    )
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        help="keeps learned names and progress; none for nowhere (default: .strangler beside FILE)",
    )
    parser.add_argument(
        "--target-cpu",
        metavar="GROUP=SOURCE",
        action="append",
        help="CPU time of a target group: pid:NUMBER, file:/.../cpu.stat, http://CADVISOR/metrics?container=NAME",
    )
    parser.add_argument("--access-log", metavar="FILE", help="one line a request; - for standard output")
    parser.add_argument("--access-log-format", choices=sorted(FORMATS), default="json", help="of the access log")
    parser.add_argument("--elb-name", metavar="NAME", default=DEFAULT_ELB_NAME, help="the load balancer's in alb lines")
    parser.add_argument("--connection-log", metavar="FILE", help="one line a client connection; - for standard output")
    add_endpoint_argument(parser)
    parser.add_argument(
        "--rewrite-traceparent",
        action="store_true",
        help="targets get the gateway's span as their parent; the load balancer leaves traceparent alone",
    )
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="of the log on stderr"
    )


@dataclass(frozen=True, slots=True)
class _Start:
    """A table that can be served."""

    args: argparse.Namespace
    path: Path
    content: bytes
    config: Config
    warnings: list[Problem]
    admin_socket: socket
    state_dir: Path | None
    cpu_sources: list[CpuSource]
    otlp_endpoint: str


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; return 0 after a drain, 2 if the first table is bad, 1 if a port is taken."""
    if not 1 <= args.workers <= MAX_WORKERS:
        raise UsageError(f"--workers {args.workers} is not from 1 to {MAX_WORKERS}")
    if not ELB_NAME.fullmatch(args.elb_name):
        raise UsageError(f"--elb-name {args.elb_name!r} is not 1 to 32 letters, digits and inner hyphens")
    set_up_log(args.log_level)
    raise_open_files()
    otlp_endpoint = endpoint_of(args)
    if args.rewrite_traceparent and not otlp_endpoint:
        raise UsageError("--rewrite-traceparent names spans as parents that nobody gets: give --otlp-endpoint, too")
    _share_cookie_key(args)
    path = Path(args.config)
    try:
        content = read_table(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    try:
        config, warnings = load_with_warnings(content, os.environ, str(path), TableFiles(path.parent))
        if problems := tls_problems(config):
            raise ConfigError(problems, str(path))
    except ConfigError as error:
        print(render(error.problems, str(path), content.decode("utf-8", "replace"), Paint(sys.stderr)), file=sys.stderr)
        return 2
    warnings = in_order([*warnings, *analyse(config, os.environ).problems])
    log_warnings(path, warnings)
    cpu_sources = _cpu_sources(args.target_cpu or [], config)
    state_dir = open_state_dir(args.state_dir, path)
    try:
        sockets = [bind(args.host, listener.port) for listener in config.listeners]
        admin_socket = bind(args.admin_host, args.admin_port)
        start = _Start(args, path, content, config, warnings, admin_socket, state_dir, cpu_sources, otlp_endpoint)
        if args.workers == 1:
            access_log, connection_log = open_logs(log_options(args))
            spans = open_request_spans(otlp_endpoint, rewrites=args.rewrite_traceparent)
            main = _serve(start, sockets, access_log, connection_log, spans)
        else:
            # That the ports were free is all that was wanted of these; each worker binds for itself.
            for sock in sockets:
                sock.close()
            main = _supervise(start)
    except OSError as error:
        taken = " (is another gateway running? choose another port)" if error.errno == errno.EADDRINUSE else ""
        print(f"strangler serve: {error}{taken}", file=sys.stderr)
        return 1
    try:
        run_loop(main)
    except WorkerStartError as error:
        print(f"strangler serve: {error}", file=sys.stderr)
        return 1
    return 0


def _cpu_sources(written: list[str], config: Config) -> list[CpuSource]:
    sources: dict[str, CpuSource] = {}
    for text in written:
        try:
            source = parse_cpu_source(text)
        except ValueError as error:
            raise UsageError(f"--target-cpu {error}") from None
        if source.target_group not in config.target_groups:
            raise UsageError(f"--target-cpu {text}: there is no target group {source.target_group!r}")
        if source.target_group in sources:
            raise UsageError(f"--target-cpu {text}: {source.target_group!r} has a source already")
        sources[source.target_group] = source
    return list(sources.values())


def _share_cookie_key(args: argparse.Namespace) -> None:
    """See to it, by the environment, that this process and its workers have the same key for cookies."""
    if args.cookie_key_file:
        os.environ[KEY_FILE] = args.cookie_key_file
    try:
        key = cookie_key(os.environ)
    except CookieKeyError as error:
        raise UsageError(str(error)) from None
    if args.workers > 1 and not key.lasts:
        os.environ[KEY] = key.as_variable()


class _EndingStreams(uvicorn.Server):
    """Does not wait for those who look on."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        end_streams(cast(Any, self.config.app))
        await super().shutdown(sockets)


class _AdminServer(_EndingStreams, DrainingServer):
    """The admin port of a process that has no other server."""


class _QuietAdminServer(_EndingStreams, QuietServer):
    """The admin port beside the listeners."""


async def _serve(
    start: _Start,
    sockets: list[socket],
    access_log: AccessLog | None,
    connection_log: ConnectionLog | None,
    spans: RequestSpans | None,
) -> None:
    """One process: listeners and admin port on one event loop."""
    control = Control(
        start.path,
        start.config,
        content=start.content,
        problems=start.warnings,
        access_log=access_log,
        connection_log=connection_log,
        spans=spans,
        state_dir=start.state_dir,
        cpu_sources=start.cpu_sources,
    )
    server = ListenerServer(listener_config(control), control, start.args.host)
    admin = _QuietAdminServer(_admin_config(control, start.args))
    serving_admin = asyncio.create_task(admin.serve([start.admin_socket]))
    _say_where(start)
    tune_garbage_collector()
    try:
        await server.serve(sockets)
    finally:
        admin.should_exit = True
        await serving_admin


async def _supervise(start: _Start) -> None:
    """Several workers: this process reads the table, checks the targets and serves the admin port."""
    args = start.args
    control = Control(
        start.path,
        start.config,
        content=start.content,
        problems=start.warnings,
        state_dir=start.state_dir,
        cpu_sources=start.cpu_sources,
    )
    options = {
        "path": str(start.path),
        "host": args.host,
        **log_options(args),
        "otlp_endpoint": start.otlp_endpoint,
        "rewrite_traceparent": args.rewrite_traceparent,
        "log_level": args.log_level,
        "workers": args.workers,
    }
    fleet = Fleet(args.workers, start.content, options, lambda: control.runtime, control.gateway.transactions)
    control.followers = fleet
    async with running(control, watch=True):
        await fleet.start()
        try:
            _say_where(start)
            await _AdminServer(_admin_config(control, args)).serve([start.admin_socket])
        finally:
            await fleet.stop()


def _admin_config(control: Control, args: argparse.Namespace) -> uvicorn.Config:
    admin = create_admin(
        control,
        host=args.admin_host,
        token=os.environ.get("STRANGLER_ADMIN_TOKEN") or None,
        allowed_hosts=[name.strip() for name in args.admin_allowed_hosts.split(",") if name.strip()],
    )
    return uvicorn.Config(
        admin,
        # httptools, the other parser, takes a head of any size.
        http="h11",
        h11_max_incomplete_event_size=ADMIN_HEAD_BYTES,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def _say_where(start: _Start) -> None:
    ports = ", ".join(str(listener.port) for listener in start.config.listeners)
    host, port = start.args.admin_host, start.admin_socket.getsockname()[1]
    logger.info("serving %s on port %s, admin on http://%s:%d", start.path, ports, host, port)
