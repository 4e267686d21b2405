"""One execution environment: a process with AWS's own runtime client, and the Runtime API that it asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from proxy.functions.errors import exited, timed_out
from proxy.functions.logs import FunctionLog, Write
from proxy.functions.model import VERSION, FunctionConfig, Invocation, Outcome, function_arn
from proxy.functions.package import Package
from proxy.functions.runtime_api import RuntimeApi
from proxy.functions.system_log import Report, system_log

INIT_SECONDS = 10
"""How long a runtime may take to be ready, beyond the timeout of the invocation that waits for it."""
_READ_BYTES = 64 * 1024
_MOST_READ_AT_ONCE = 4 * 1024 * 1024
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE")


class EnvironmentGoneError(Exception):
    """The process ended while it was idle; the invocation has not reached it and may go to another."""


class Environment:
    """A process that handles one invocation after the other.

    Attributes:
        alive: Whether it can take one more.
        stopped: Whether nothing of it is left.
        idle_since: When its last invocation ended, on the monotonic clock.

    Args:
        function: Whose environment it is.
        package: Where its code is.
        region: Of its ARN.
        write: Takes the records of its log.
        on_line: Is shown each line that the function writes.
    """

    def __init__(
        self,
        function: FunctionConfig,
        package: Package,
        region: str,
        write: Write,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.function = function
        self.alive = True
        self.stopped = False
        self.idle_since = time.monotonic()
        self._package = package
        self._region = region
        self._arn = function_arn(function.name, region)
        self._stream = f"{datetime.now(UTC):%Y/%m/%d}/[{VERSION}]{uuid.uuid4().hex}"
        self._system_log = system_log(function.logging)
        self._log = FunctionLog(function.name, self._stream, write, time.time, on_line)
        self._api = RuntimeApi(self._became_ready, self._answered, self._init_failed)
        self._process: asyncio.subprocess.Process | None = None
        self._output = -1
        self._watching: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._init_error: Outcome | None = None
        self._request_id = ""
        self._pending: asyncio.Future[Outcome] | None = None
        self._started = 0.0
        self._init_ms: float | None = None
        self._used = False

    async def start(self) -> None:
        """Start the process; it is waited for by the first invocation. Raise OSError if it cannot be started."""
        self._started = time.monotonic()
        port = await self._api.start()
        reading, writing = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "awslambdaric",
                self.function.handler,
                cwd=self._package.task_root,
                env=process_environment(self.function, self._package, self._region, self._stream, port, os.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            await self._api.stop()
            raise
        finally:
            os.close(writing)
        self._output = reading
        os.set_blocking(reading, False)
        asyncio.get_running_loop().add_reader(reading, self._read_output)
        self._watching = asyncio.create_task(self._watch())

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation to its end, by an answer, a time-out or the end of the process.

        Raises:
            EnvironmentGoneError: It ended while idle.
        """
        is_cold = not self._used
        self._used = True
        if not self._ready.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INIT_SECONDS + self.function.timeout):
                    await self._ready.wait()
        if not is_cold and (not self.alive or self._has_ended()):
            await self.stop()
            raise EnvironmentGoneError
        self._log.begin(invocation.request_id, invocation.trace_id)
        self._say(self._system_log.start(invocation.request_id, time.time()))
        began = time.monotonic()
        if self._init_error is not None:
            outcome = self._init_error
        elif not self._ready.is_set() or not self.alive:
            outcome = self._ended(invocation.request_id)
        else:
            outcome = await self._run(invocation)
        init_ms = self._init_ms if is_cold else None
        outcome = self._report(invocation.request_id, outcome, (time.monotonic() - began) * 1000, init_ms)
        if not self.alive or self._init_error is not None:
            await self.stop()
        self.idle_since = time.monotonic()
        return outcome

    async def _run(self, invocation: Invocation) -> Outcome:
        """Hand over an invocation to the runtime that waits for it, and wait for what comes of it."""
        loop = asyncio.get_running_loop()
        self._ready.clear()
        self._request_id = invocation.request_id
        self._pending = loop.create_future()
        self._api.hand_over(invocation, self._arn, int((time.time() + self.function.timeout) * 1000))
        timer = loop.call_later(self.function.timeout, self._time_out)
        try:
            return await self._pending
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            timer.cancel()
            self._pending = None

    async def stop(self) -> None:
        """Kill the process with all that it started, and take its last output."""
        self._kill()
        if self._watching is not None:
            await self._watching
        await self._api.stop()
        self.stopped = True

    def _report(self, request_id: str, outcome: Outcome, milliseconds: float, init_ms: float | None) -> Outcome:
        self._read_output()
        self._log.end_line()
        report = Report(
            request_id,
            milliseconds,
            self.function.memory_size,
            self._peak_memory_mb(),
            init_ms,
            error_type=outcome.error_type if not self.alive else "",
            produced_bytes=len(outcome.payload) if self.alive else 0,
            timeout=self.function.timeout,
        )
        self._say(self._system_log.over(report, time.time()))
        return replace(outcome, log_tail=self._log.take_tail())

    def _say(self, lines: list[str]) -> None:
        for line in lines:
            self._log.say(line)

    def _has_ended(self) -> bool:
        """Whether the process has ended, also when the event loop has not been told yet; it stays to be waited for."""
        if self._process is None or not hasattr(os, "waitid"):
            return False
        try:
            ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return ended is not None

    def _ended(self, request_id: str) -> Outcome:
        """What an invocation gets whose runtime did not become ready."""
        if self._process is not None and self._process.returncode is not None:
            return exited(request_id, self._process.returncode)
        self._kill()
        return timed_out(request_id, self.function.timeout)

    def _became_ready(self) -> None:
        if self._init_ms is None:
            self._init_ms = (time.monotonic() - self._started) * 1000
        self._ready.set()

    def _answered(self, request_id: str, outcome: Outcome) -> None:
        if request_id == self._request_id and self._pending is not None and not self._pending.done():
            self._pending.set_result(outcome)

    def _init_failed(self, body: bytes, error_type: str) -> None:
        self._init_error = Outcome(body, failed=True, error_type=error_type)
        self._ready.set()

    def _time_out(self) -> None:
        if self._pending is not None and not self._pending.done():
            self._kill()
            self._pending.set_result(timed_out(self._request_id, self.function.timeout))

    def _kill(self) -> None:
        """Kill the whole process group: a handler may have started processes."""
        self.alive = False
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _watch(self) -> None:
        """Wait for the end of the process, which nothing else tells of."""
        assert self._process is not None
        returncode = await self._process.wait()
        self.alive = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._read_output()
        self._log.end_line()
        asyncio.get_running_loop().remove_reader(self._output)
        os.close(self._output)
        self._output = -1
        if self._pending is not None and not self._pending.done():
            self._pending.set_result(exited(self._request_id, returncode))
        self._ready.set()

    def _read_output(self) -> None:
        """Take what the process has written so far.

        Also called when an answer has come: what was printed before it is in the pipe by then.
        """
        size = 0
        while self._output >= 0 and size < _MOST_READ_AT_ONCE:
            try:
                data = os.read(self._output, _READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            if not data:
                asyncio.get_running_loop().remove_reader(self._output)
                return
            size += len(data)
            self._log.feed(data)

    def _peak_memory_mb(self) -> int:
        if self._process is None:
            return 0
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return 0
        kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
        return -(-int(kilobytes) // 1024)


def process_environment(
    function: FunctionConfig, package: Package, region: str, stream: str, port: int, env: Mapping[str, str]
) -> dict[str, str]:
    """The variables of a function's process (Lambda guide): Lambda's, the credentials and endpoints of AWS, its own.

    Nothing else of the host's environment is passed on.
    """
    python = f"python3.{sys.version_info.minor}"
    paths = [str(package.task_root)]
    binaries: list[str] = []
    if package.layers is not None:
        paths += [str(package.layers / "python"), str(package.layers / "python" / "lib" / python / "site-packages")]
        binaries = [str(package.layers / "bin")]
    variables = {name: env[name] for name in _KEPT_VARIABLES if name in env}
    variables |= {name: value for name, value in env.items() if name.startswith("AWS_")}
    variables |= {
        "PATH": os.pathsep.join([*binaries, env.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(paths),
        "TZ": ":UTC",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{python}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
    }
    if function.logging.log_format == "JSON":
        variables |= {
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": function.logging.application_log_level,
        }
    return {
        **variables,
        **function.environment,
        "_HANDLER": function.handler,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": VERSION,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "LAMBDA_TASK_ROOT": str(package.task_root),
    }
