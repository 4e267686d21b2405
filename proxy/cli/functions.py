"""`strangler functions`: runs functions as Lambda does, behind Lambda's own API, until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

from proxy.cli.files import read_table
from proxy.cli.flags import UsageError, port_number
from proxy.cli.ports import bind
from proxy.cli.problems import render
from proxy.cli.running import run_loop, set_up_log
from proxy.cli.terminal import Paint
from proxy.cli.traces import add_endpoint_argument, endpoint_of, open_spans
from proxy.config.problem import ConfigError
from proxy.functions.aws import region_of
from proxy.functions.config import load_functions
from proxy.functions.host import DRAIN_SECONDS, Host
from proxy.functions.http import HttpServer
from proxy.functions.lambda_api import LambdaApi
from proxy.functions.model import MAX_SYNC_BYTES, HostConfig
from proxy.functions.package import PackageError, prepare
from proxy.functions.store import StoreError
from proxy.observe.log_writer import LogWriter
from proxy.tracing.export import SpanExport

logger = logging.getLogger("proxy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; each has an environment variable STRANGLER_<FLAG>."""
    parser.add_argument("--functions", metavar="FILE", default="functions.yaml", help="what to run")
    parser.add_argument("--functions-host", metavar="HOST", default="127.0.0.1", help="address of Lambda's API")
    parser.add_argument("--functions-port", metavar="PORT", type=port_number, default=9001, help="port of Lambda's API")
    parser.add_argument(
        "--functions-folder", metavar="DIR", default=".functions", help="unpacked code, and what a restart needs"
    )
    parser.add_argument(
        "--functions-log", metavar="FILE", default="-", help="what functions write; - for standard output"
    )
    parser.add_argument(
        "--idle-seconds", metavar="N", type=float, default=300.0, help="how long an unused environment is kept"
    )
    add_endpoint_argument(parser)
    parser.add_argument("--check", action="store_true", help="only check the file, and run nothing")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="of the log on stderr"
    )


def run(args: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; return 0 after a drain, 2 for a bad file, 1 if the port or the folder is taken."""
    if not args.idle_seconds > 0:
        raise UsageError(f"--idle-seconds {args.idle_seconds} is not above 0")
    set_up_log(args.log_level)
    content = read_table(args.functions)
    try:
        config, problems = load_functions(content, os.environ, args.functions)
    except ConfigError as error:
        _show(error, content)
        return 2
    for problem in problems:
        logger.warning("%s:%s", args.functions, problem)
    if args.check:
        return _check(args.functions, config)
    if find_spec("awslambdaric") is None:
        raise UsageError("awslambdaric is missing: pip install 'strangler-fig[functions]'")
    otlp_endpoint = endpoint_of(args)
    try:
        sock = bind(args.functions_host, args.functions_port)
        Path(args.functions_folder).mkdir(parents=True, exist_ok=True)
        log = LogWriter(args.functions_log)
        spans = open_spans(otlp_endpoint, "functions")
        try:
            run_loop(_serve(args, config, sock, log, spans))
        finally:
            log.close()
            if spans:
                spans.close()
    except (PackageError, StoreError) as error:
        print(f"strangler functions: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        taken = " (is another host running? choose another port)" if error.errno == errno.EADDRINUSE else ""
        where = f"{error.filename}: " if error.filename else ""
        print(f"strangler functions: {where}{error.strerror or error}{taken}", file=sys.stderr)
        return 1
    return 0


def _check(file: str, config: HostConfig) -> int:
    """Whether code and layers can be used, too: they are unpacked, and not kept."""
    try:
        for function in config.functions.values():
            with TemporaryDirectory(prefix="strangler-functions-") as folder:
                prepare(function, Path(folder))
    except PackageError as error:
        print(f"strangler functions: {error}", file=sys.stderr)
        return 2
    print(f"{file}: good, {len(config.functions)} functions")
    return 0


async def _serve(
    args: argparse.Namespace, config: HostConfig, sock: socket, log: LogWriter, spans: SpanExport | None
) -> None:
    host = Host(
        config,
        Path(args.functions_folder),
        region_of(os.environ),
        log.write,
        idle_seconds=args.idle_seconds,
        spans=spans,
    )
    api = LambdaApi(host)
    server = HttpServer(api.handle, max_body=MAX_SYNC_BYTES, too_large=api.too_large)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await host.start()
    try:
        port = await server.start(sock)
        logger.info(
            "running %d functions, Lambda's API on http://%s:%d", len(config.functions), args.functions_host, port
        )
        await stop.wait()
        logger.info("draining: what is in progress has %d s", DRAIN_SECONDS)
    finally:
        await asyncio.gather(server.stop(DRAIN_SECONDS), host.drain(DRAIN_SECONDS))
        await host.stop()


def _show(error: ConfigError, content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    print(render(error.problems, error.source, text, Paint(sys.stderr), is_table=False), file=sys.stderr)
