"""One run of one proxy in one case: started, checked, warmed up, measured, stopped."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench import body_load, verify, wrk
from bench.cases import Case
from bench.certificate import make
from bench.peers import Peer
from bench.processes import BenchError, cores, cpu_seconds, most_open_files
from bench.report import Measurement
from bench.stand import Proxy, serving
from bench.table import probes
from bench.targets import BODIES

TLS_SESSION = "TLSv1.3 TLS_AES_256_GCM_SHA384"
"""What each proxy has to agree on with a client that uses OpenSSL, as wrk does."""
LINES_WRITTEN = 0.99
"""Of the requests of a run: the load's last ones are cut off, and may have no line."""


def measure(
    case: Case, peer: Peer, target_ports: Mapping[str, int], directory: Path, *, seconds: int, thorough: bool
) -> Measurement:
    """Start a proxy, see that it does the work, warm it up, and measure one run.

    Args:
        directory: An own empty folder for its files.
        thorough: Check each rule of the table, not only the requests of the load.

    Raises: BenchError if it does not start, decides otherwise than the table, or the load saw a failure.
    """
    drive = _bodies if case.download or case.upload else _requests
    with prepared(case, peer, target_ports, directory, thorough=thorough) as proxy:
        drive(case, proxy, directory, 1)
        before = cpu_seconds(proxy.pid)
        result = drive(case, proxy, directory, seconds)
        used = cpu_seconds(proxy.pid) - before
        proxy.check_alive()
    if case.access_log:
        _check_log(proxy, result)
    return _figures(result, used)


@contextlib.contextmanager
def prepared(
    case: Case,
    peer: Peer,
    target_ports: Mapping[str, int],
    directory: Path,
    *,
    thorough: bool,
    workers: int = 1,
    pinned: bool = True,
) -> Iterator[Proxy]:
    """Run a proxy that is found to do the work of a case; if `pinned`, on a core of its own."""
    starting = serving(
        peer,
        case.table,
        target_ports,
        directory,
        core=cores()[0] if pinned else None,
        open_files=most_open_files(open_files_of(case)),
        connections=max(1024, case.connections + 500),
        workers=workers,
        access_log=case.access_log,
        tls=make(directory) if case.tls else None,
    )
    with starting as proxy:
        if peer.decides:
            _check(case, proxy.door, thorough=thorough)
        yield proxy


def open_files_of(case: Case) -> int:
    """Return how many files a proxy may have open: a connection to the target for each client's, and some more."""
    return 2 * case.connections + 1024


def need_tools(*programs: str) -> None:
    """Raise BenchError unless the programs of a load are there."""
    for program in ("taskset", *programs):
        if shutil.which(program) is None:
            raise BenchError(f"{program} is not installed: sh bench/install.sh")


Load = wrk.Result | body_load.Result
Driver = Callable[[Case, Proxy, Path, int], Load]


def _requests(case: Case, proxy: Proxy, directory: Path, seconds: int) -> Load:
    lua = directory / "load.lua"
    lua.write_text(wrk.script(case.requests))
    result = wrk.run(lua, proxy.door, seconds=seconds, connections=case.connections, core=cores()[1])
    if result.failures:
        raise BenchError(f"under load: {result.failures}")
    return result


def _bodies(case: Case, proxy: Proxy, directory: Path, seconds: int) -> Load:
    result = body_load.run(
        case.requests[0].head.encode(),
        proxy.port,
        directory,
        download=case.download,
        upload=case.upload,
        seconds=seconds,
        connections=case.connections,
        core=cores()[1],
    )
    if result.failure:
        raise BenchError(f"under load: {result.failure}")
    return result


def _figures(result: Load, cpu: float) -> Measurement:
    if isinstance(result, body_load.Result):
        return {
            "megabytes_per_second": result.bytes / result.seconds / 1e6,
            "cpu_ms_per_gigabyte": cpu * 1e3 / (result.bytes / 1e9),
        }
    return {
        "cpu_us_per_request": cpu / result.requests * 1e6,
        "requests_per_second": result.requests_per_second,
        "p50_ms": result.p50_seconds * 1e3,
        "p99_ms": result.p99_seconds * 1e3,
    }


def _check(case: Case, door: verify.Door, *, thorough: bool) -> None:
    if case.tls:
        verify.check_tls(door, TLS_SESSION)
    if case.target == "echo":
        verify.check_echo(door, case.requests[0])
    if case.target != "nginx":
        return
    if case.download:
        verify.check_download(door, case.requests[0], case.download)
    else:
        requests = [*case.requests, *(probes(case.table) if thorough else ())]
        verify.check_decisions(door, case.table, requests, BODIES)
    verify.check_forwarding(door)


def _check_log(proxy: Proxy, result: Load) -> None:
    """Raise BenchError unless the access log of a proxy that has ended has a line for nearly each request."""
    assert proxy.site.access_log is not None
    assert isinstance(result, wrk.Result)
    with proxy.site.access_log.open("rb") as file:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    if lines < result.requests * LINES_WRITTEN:
        raise BenchError(f"its access log has {lines} lines after {result.requests} requests")
