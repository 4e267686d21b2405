"""The supervisor's side: starts workers, replaces those that end, and speaks to all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.carveout.transactions import Transactions
from proxy.carveout.workload import Workload
from proxy.carveout.workload_json import workload_from_json
from proxy.config.model import Config
from proxy.config.problem import Place, Problem
from proxy.observe.snapshot import Snapshot, merge, remains
from proxy.observe.tail import TailBatch
from proxy.repeating import repeat
from proxy.runtime import Runtime
from proxy.workers.channel import Channel, ChannelClosedError, Message
from proxy.workers.messages import members_of, problem_from_json, samples_from_json, templates_to_json

logger = logging.getLogger(__name__)

START_SECONDS: Final = 30.0
"""How long a worker may take until it accepts connections, or until it has staged a table."""
ANSWER_SECONDS: Final = 5.0
"""How long a worker may take to answer everything else; one that takes longer hangs and is replaced."""
STOP_SECONDS: Final = 40.0
"""How long a worker may drain; longer than it allows itself."""
PUSH_SECONDS: Final = 0.1
"""How often the targets' health is compared with what the workers were told."""
REPORT_SECONDS: Final = 1.0
"""How often counts are fetched without a scrape: what a worker counts between its last report and a crash is lost."""
MAX_RESTART_SECONDS: Final = 10.0
"""Longest pause before a worker that ends again and again is started again."""


class WorkerStartError(Exception):
    """A worker did not come up."""


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    process: asyncio.subprocess.Process
    channel: Channel
    last: Snapshot | None = None
    loads: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    has_started: bool = False
    is_draining: bool = False
    is_added_up: bool = False

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None


class Fleet:
    """The workers, as followers of the supervisor's table (`control.Followers`).

    Args:
        count: How many.
        content: The table in force.
        options: What each worker is told at its start besides the table.
        runtime: The supervisor's table, whose targets' health the workers mirror.
        transactions: The supervisor's, which learn names from the workers' requests and give them to all.
    """

    def __init__(
        self,
        count: int,
        content: bytes,
        options: Message,
        runtime: Callable[[], Runtime],
        transactions: Transactions,
    ) -> None:
        self._count = count
        self._content = content
        self._staged: bytes | None = None
        self._options = options
        self._runtime = runtime
        self._transactions = transactions
        self._told_names = -1
        self._workers: dict[int, _Worker] = {}
        self._ended: list[Snapshot] = []
        self._ended_loads: dict[tuple[str, str], tuple[int, int]] = {}
        self._told: object = None
        self._changing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False

    async def start(self) -> None:
        """Start all workers and return when they accept connections; raise `WorkerStartError`."""
        self._told = members_of(self._runtime())
        try:
            async with self._changing:
                await asyncio.gather(*(self._start_worker(number) for number in range(self._count)))
        except BaseException:
            await self.stop()
            raise
        for number in range(self._count):
            self._tasks.append(asyncio.create_task(self._keep_alive(number), name=f"keep worker {number}"))
        pushing = repeat(self._push_targets, PUSH_SECONDS, "telling workers the targets' health")
        self._tasks.append(asyncio.create_task(pushing, name="push targets"))
        fetching = repeat(self.snapshots, REPORT_SECONDS, "fetching the workers' counts")
        self._tasks.append(asyncio.create_task(fetching, name="fetch reports"))

    async def stop(self) -> None:
        """Let every worker drain and end."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = list(self._workers.values())
        for worker in workers:
            worker.is_draining = True
            worker.channel.close()
        await asyncio.gather(*(_end(worker.process) for worker in workers))

    # --- one worker ---

    async def _start_worker(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                # As this process was started: without -P another `proxy` in the working directory would come first.
                *(["-P"] if sys.flags.safe_path else []),
                "-m",
                "proxy.cli.worker",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C is for the supervisor, which then lets its workers drain.
                start_new_session=True,
            )
        worker = _Worker(number, process, await Channel.over(ours))
        self._workers[number] = worker
        try:
            answer = await worker.channel.call(
                {
                    "word": "start",
                    "content": self._content.decode(),
                    "targets": members_of(self._runtime()),
                    "names": self._names(),
                    **self._options,
                },
                timeout_seconds=START_SECONDS,
            )
        except ChannelClosedError as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise WorkerStartError(f"worker {number} ended at its start: {error}") from None
        if answer.get("error"):
            await _end(process)
            raise WorkerStartError(f"worker {number}: {answer['error']}")
        worker.has_started = True
        logger.info("worker %d is process %d", number, process.pid)

    async def _keep_alive(self, number: int) -> None:
        """Replace a worker each time it ends."""
        pause = 0.1
        loop = asyncio.get_running_loop()
        while True:
            worker = self._workers[number]
            began = loop.time()
            code = await worker.process.wait()
            worker.channel.close()
            self._add_up(worker)
            pause = 0.1 if loop.time() - began > MAX_RESTART_SECONDS else min(pause * 2, MAX_RESTART_SECONDS)
            logger.error("worker %d ended with code %s; it is started again in %.1f s", number, code, pause)
            await asyncio.sleep(pause)
            try:
                async with self._changing:
                    await self._start_worker(number)
            except WorkerStartError as error:
                logger.error("%s", error)
            except OSError as error:
                # No process or no file left: the next try may find one.
                logger.error("worker %d cannot be started: %s", number, error)

    # --- the table: all workers or none ---

    async def stage(self, before: Config, after: Config, content: bytes) -> list[Problem]:
        """Let every worker make ready for the table.

        One that ends or hangs meanwhile is no reason against it: its successor begins with the table then in force.
        Where all do, it may be the table's doing.
        """
        await self._changing.acquire()
        self._staged = content
        try:
            answers = await self._call_all({"word": "stage", "content": content.decode()}, START_SECONDS)
        except BaseException:
            await self.abandon()
            raise
        if answers and all(answer is None for answer in answers.values()):
            message = "no worker took the table up; they are being replaced, try again"
            return [Problem("error", "worker-failed", Place(1, 1, ""), message)]
        problems = [
            problem_from_json(problem) for answer in answers.values() if answer for problem in answer["problems"]
        ]
        return list(dict.fromkeys(problems))

    async def commit(self) -> None:
        """Let every worker put in force what it staged; one that fails to is replaced and starts with it."""
        assert self._staged is not None
        self._content, self._staged = self._staged, None
        self._told = members_of(self._runtime())
        try:
            await self._call_all({"word": "commit", "targets": self._told}, ANSWER_SECONDS)
        finally:
            self._changing.release()

    async def abandon(self) -> None:
        """Let every worker forget what it staged."""
        self._staged = None
        try:
            await self._call_all({"word": "abandon"}, ANSWER_SECONDS)
        finally:
            self._changing.release()

    # --- targets, counts, logs ---

    async def _push_targets(self) -> None:
        await self._push_names()
        members = members_of(self._runtime())
        if members != self._told:
            async with self._changing:
                self._told = members_of(self._runtime())
                await self._call_all({"word": "targets", "targets": self._told}, ANSWER_SECONDS)

    async def _push_names(self) -> None:
        version = self._transactions.namer.version
        if version != self._told_names:
            async with self._changing:
                self._told_names = version
                await self._call_all({"word": "names", "names": self._names()}, ANSWER_SECONDS)

    def _names(self) -> list[dict[str, Any]]:
        return templates_to_json(self._transactions.namer.learned)

    async def workloads(self) -> list[Workload]:
        """What every living worker has measured of its transactions."""
        answers = await self._call_all({"word": "workload"}, ANSWER_SECONDS)
        return [workload_from_json(answer["workload"]) for answer in answers.values() if answer is not None]

    async def snapshots(self) -> list[Snapshot]:
        """What every worker has counted since it started, and all that have ended; updates the targets' loads."""
        await asyncio.gather(*(self._report(worker) for worker in self._living()))
        self._sum_loads()
        living = [worker.last for worker in self._workers.values() if worker.last is not None]
        return [*self._ended, *map(remains, living)]

    async def _report(self, worker: _Worker) -> None:
        """Note what a worker has counted, as soon as it says so: another one may take seconds, and this one end."""
        answer = await _call(worker, {"word": "report"}, ANSWER_SECONDS)
        # What has been added to those that ended must not be added once more.
        if answer is not None and not worker.is_added_up:
            worker.last = answer["snapshot"]
            worker.loads = answer["loads"]
            self._transactions.learn(samples_from_json(answer["samples"]))

    def _sum_loads(self) -> None:
        """Give the supervisor's targets, which take no requests themselves, what they carry in all workers.

        So its anomaly detection judges by all requests, and the workers are told what it finds.
        """
        for name, group in self._runtime().groups.items():
            for target in group.targets:
                loads = [worker.loads.get(name, {}).get(target.id, [0, 0, 0]) for worker in self._workers.values()]
                requests, failures = self._ended_loads.get((name, target.id), (0, 0))
                target.in_flight = sum(load[0] for load in loads)
                target.requests = requests + sum(load[1] for load in loads)
                target.failures = failures + sum(load[2] for load in loads)

    def _add_up(self, worker: _Worker) -> None:
        """Add what a worker that has ended had counted to that of those before it; once."""
        if not worker.is_added_up:
            worker.is_added_up = True
            if worker.last is not None:
                self._ended = [merge([*self._ended, remains(worker.last)])]
                worker.last = None
            self._keep_loads(worker)

    def _keep_loads(self, worker: _Worker) -> None:
        """What a worker that has ended sent still counts, as long as there is the target."""
        loads, worker.loads = worker.loads, {}
        present = {(name, target.id) for name, group in self._runtime().groups.items() for target in group.targets}
        kept = {key: counts for key, counts in self._ended_loads.items() if key in present}
        for key in present:
            _, sent, failed = loads.get(key[0], {}).get(key[1], [0, 0, 0])
            requests, failures = kept.get(key, (0, 0))
            kept[key] = (requests + sent, failures + failed)
        self._ended_loads = kept

    async def tails(self) -> list[TailBatch]:
        """The requests of every worker since the call before, or a sample of them."""
        answers = await self._call_all({"word": "tail"}, ANSWER_SECONDS)
        return [answer["tail"] for answer in answers.values() if answer is not None]

    async def reopen_logs(self) -> None:
        """Let every worker open its log files by their names again."""
        await self._call_all({"word": "reopen"}, ANSWER_SECONDS)

    def _living(self) -> list[_Worker]:
        """Those that answer; one that starts would keep whoever asks waiting."""
        return [
            worker
            for worker in self._workers.values()
            if worker.has_started and not worker.is_draining and not worker.has_ended
        ]

    async def _call_all(self, message: Message, timeout_seconds: float) -> dict[int, Message | None]:
        """The answer of every worker; None from one that failed, which is ended so that it is replaced."""
        workers = self._living()
        answers = await asyncio.gather(*(_call(worker, message, timeout_seconds) for worker in workers))
        return {worker.number: answer for worker, answer in zip(workers, answers, strict=True)}


async def _call(worker: _Worker, message: Message, timeout_seconds: float) -> Message | None:
    try:
        return await worker.channel.call(message, timeout_seconds=timeout_seconds)
    except ChannelClosedError as error:
        if not worker.is_draining and not worker.has_ended:
            logger.error("worker %d does not answer: %s", worker.number, error)
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for a process that was told to end; kill it if it does not."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
