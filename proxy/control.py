"""The life of a table: read, checked, built, swapped in, and the one before let go. One road for every reload."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from proxy import stickiness
from proxy.auth.authentication import has_logins
from proxy.carveout.cpu_meter import CpuMeter
from proxy.carveout.cpu_sources import CpuSource
from proxy.carveout.monolith import monolith_of
from proxy.carveout.progress import open_ledger
from proxy.carveout.progress_keeper import ProgressKeeper
from proxy.carveout.report import names_report
from proxy.carveout.transactions import Transactions
from proxy.carveout.workload import Workload
from proxy.carveout.workload_json import add
from proxy.config.certificates import TableFiles
from proxy.config.cookie_key import KEY, KEY_FILE, cookie_key
from proxy.config.edit_transactions import add_transaction_names
from proxy.config.files import replace_file
from proxy.config.load import MAX_BYTES, load_with_warnings
from proxy.config.model import Config
from proxy.config.problem import ConfigError, Place, Problem, in_order
from proxy.config.transaction_patterns import parse_pattern
from proxy.config.watch import content_of
from proxy.explanation import explain_question
from proxy.gateway import Gateway
from proxy.http1.sealed import Sealer
from proxy.observe.access_log import AccessLog
from proxy.observe.connection_log import ConnectionLog
from proxy.observe.history import SAMPLE_SECONDS, History
from proxy.observe.live import ReloadState
from proxy.observe.metrics import Metrics
from proxy.observe.request_spans import RequestSpans
from proxy.observe.snapshot import Snapshot, merge
from proxy.observe.tail import TailBatch, join
from proxy.repeating import repeat
from proxy.rules.coverage import analyse
from proxy.rules.question import Question
from proxy.runtime import Runtime, build
from proxy.targets.checker import HealthChecker
from proxy.targets.keeper import TargetKeeper
from proxy.targets.probe import probe
from proxy.targets.resolve import Resolver

STATE_FILE = "transactions.json"
MOST_LOGGED = 20
"""Warnings of one table that go into the log."""

logger = logging.getLogger(__name__)


class Followers(Protocol):
    """What must go along with a new table: listener ports of this process, or worker processes. All or none.

    After `stage` comes either `commit` or `abandon`.
    """

    async def stage(self, before: Config, after: Config, content: bytes) -> list[Problem]:
        """Make ready for a table; return why not, if not. Nothing is in force yet.

        Args:
            content: The file that `after` was read from.
        """

    async def commit(self) -> None:
        """Put in force what was made ready."""

    async def abandon(self) -> None:
        """Undo what was made ready."""

    async def snapshots(self) -> list[Snapshot]:
        """What other processes have counted."""

    async def tails(self) -> list[TailBatch]:
        """Which requests other processes have had since the call before."""

    async def workloads(self) -> list[Workload]:
        """What other processes have measured of their transactions."""

    async def reopen_logs(self) -> None:
        """Open the log files of other processes by their names again."""


class NoFollowers:
    """For an embedded gateway: its doors are somebody else's."""

    async def stage(self, before: Config, after: Config, content: bytes) -> list[Problem]:
        return []

    async def commit(self) -> None:
        pass

    async def abandon(self) -> None:
        pass

    async def snapshots(self) -> list[Snapshot]:
        return []

    async def tails(self) -> list[TailBatch]:
        return []

    async def workloads(self) -> list[Workload]:
        return []

    async def reopen_logs(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """How a reload went. `changed` is False when the file says what already serves."""

    ok: bool
    changed: bool
    problems: Sequence[Problem] = field(default_factory=tuple)


class Control:
    """Owns the gateway and everything that works in the background for it.

    Args:
        path: The table's file, read again at each reload.
        config: What it said at the start.
        content: The bytes that `config` was read from, so that a change since then is seen.
        problems: Warnings of that first load.
        environment: For `${NAME}` in the table, and for the key of stickiness cookies.
        keeps_targets: Whether names are resolved and targets checked here, and transactions learn their names; a worker
            is told by its supervisor.
        parts: Over how many processes like this one the requests are spread.
        state_dir: Where what was learned is kept over a restart; None for nowhere.
        cpu_sources: Where the CPU time of target groups is read.

    Attributes:
        followers: What goes along with each new table.
        companions: The files that the table read last names, whether it was good or not.
        history: The last minutes of all processes; empty in a worker.
        is_listening: Whether the listeners' ports are open; True where others see to that.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        *,
        content: bytes | None = None,
        problems: Sequence[Problem] = (),
        access_log: AccessLog | None = None,
        connection_log: ConnectionLog | None = None,
        spans: RequestSpans | None = None,
        environment: Mapping[str, str] = os.environ,
        keeps_targets: bool = True,
        state_dir: Path | None = None,
        parts: int = 1,
        cpu_sources: Sequence[CpuSource] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.content = content
        self._environment = environment
        self._clock = clock
        self._counts = {"success": 1, "failure": 0}
        self._reloading = asyncio.Lock()
        self._staged: Runtime | None = None
        self.followers: Followers = NoFollowers()
        self.history = History()
        self._remembering: asyncio.Task[None] | None = None
        self.companions = tuple(files_named_by(config))
        self.metrics = Metrics()
        key = cookie_key(environment)
        self._notes_cookie_key = keeps_targets and not key.lasts
        self.state_dir = state_dir
        self._cpu_meter = CpuMeter(cpu_sources)
        self.gateway = Gateway(
            build(config, self.metrics),
            self.metrics,
            transactions=Transactions(
                config.transactions,
                learns=keeps_targets,
                parts=parts,
                state_file=state_dir / STATE_FILE if state_dir else None,
            ),
            access_log=access_log,
            connection_log=connection_log,
            spans=spans,
            sealer=Sealer(key.secret),
        )
        self._note_cookie_key(config)
        self.reload_state = ReloadState(True, clock(), dict(self._counts), tuple(problems))
        self.is_listening = True
        self._keeper = TargetKeeper(HealthChecker(probe), Resolver()) if keeps_targets else None
        self._progress: ProgressKeeper | None = None

    @property
    def runtime(self) -> Runtime:
        """The table that serves."""
        return self.gateway.runtime

    async def start(self) -> None:
        """Resolve the targets' names and begin to check, count and time."""
        if self._keeper is not None:
            groups = self.runtime.groups.values()
            self._keeper.start()
            await self._keeper.prepare(groups)
            self._keeper.replace(groups)
            remembering = repeat(self._remember, SAMPLE_SECONDS, "remembering the last minutes")
            self._remembering = asyncio.create_task(remembering, name="remember the last minutes")
            ledger = await asyncio.to_thread(open_ledger, self.state_dir)
            self._progress = ProgressKeeper(ledger, self.metrics_snapshot, self._monolith, self._clock)
            self._progress.start()
        self.gateway.start()
        self._cpu_meter.start()

    async def stop(self) -> None:
        """End all background work."""
        if self._progress is not None:
            await self._progress.stop()
            self._progress = None
        self.gateway.stop()
        if self._remembering is not None:
            self._remembering.cancel()
            await asyncio.gather(self._remembering, return_exceptions=True)
        await self._cpu_meter.stop()
        if self._keeper is not None:
            await self._keeper.stop()
        for log in (self.gateway.access_log, self.gateway.connection_log, self.gateway.spans):
            if log is not None:
                log.close()

    async def reload(self) -> ReloadResult:
        """Read the file again and put its table in force; on any problem the table before keeps serving."""
        async with self._reloading:
            try:
                content = await asyncio.to_thread(content_of, self.path)
                config, warnings = await asyncio.to_thread(self._load, content)
            except OSError as error:
                problem = Problem("error", "unreadable", Place(1, 1, ""), f"cannot read {self.path}: {error}")
                return self._refused([problem])
            except ConfigError as error:
                return self._refused(error.problems)
            if config == self.runtime.config:
                return await self._accepted(config, warnings, changed=False)
            problems = await self._stage(config, content)
            if problems:
                return self._refused(problems)
            await self.commit()
            return await self._accepted(config, warnings, changed=True)

    async def stage(self, content: bytes) -> list[Problem]:
        """Make everything ready for the table in `content`; return why not, if not. Nothing is in force yet."""
        try:
            config, _ = await asyncio.to_thread(self._load, content)
        except ConfigError as error:
            return error.problems
        return await self._stage(config, content)

    def _load(self, content: bytes) -> tuple[Config, list[Problem]]:
        files = TableFiles(self.path.parent)
        try:
            return load_with_warnings(content, self._environment, str(self.path), files)
        finally:
            self.companions = tuple(files.asked)

    async def _stage(self, config: Config, content: bytes) -> list[Problem]:
        try:
            runtime = build(config, self.metrics)
        except ConfigError as error:
            return error.problems
        if self._keeper is not None:
            await self._keeper.prepare(runtime.groups.values())
        problems = await self.followers.stage(self.runtime.config, config, content)
        if problems:
            await self.followers.abandon()
        else:
            self._staged = runtime
        return problems

    async def commit(self) -> None:
        """Put the staged table in force."""
        runtime, self._staged = self._staged, None
        if runtime is None:
            return
        self.gateway.replace(runtime)
        self._note_cookie_key(runtime.config)
        if self._keeper is not None:
            self._keeper.replace(runtime.groups.values())
        await self.followers.commit()

    async def abandon(self) -> None:
        """Forget the staged table."""
        self._staged = None
        await self.followers.abandon()

    def _note_cookie_key(self, config: Config) -> None:
        """Say once that cookies will not outlive this run, when there are any."""
        lost = [word for word, used in (("stickiness", stickiness.is_used), ("logins", has_logins)) if used(config)]
        if self._notes_cookie_key and lost:
            self._notes_cookie_key = False
            what = " and ".join(lost)
            logger.info("clients lose their %s with the next start: set %s or %s to keep it", what, KEY, KEY_FILE)

    def oidc_public_key(self, kid: str) -> bytes | None:
        """The key of this id with which targets check `x-amzn-oidc-data`, PEM (alb.md 3.4)."""
        return self.gateway.authentication.public_key(kid)

    async def _accepted(self, config: Config, warnings: Sequence[Problem], *, changed: bool) -> ReloadResult:
        """Note a good table; its rules are analysed now that it is in force, and beside the requests."""
        self._note(True, warnings)
        logger.info("%s: %s", self.path, "new table in force" if changed else "nothing changed")
        analysis = await asyncio.to_thread(analyse, config, self._environment)
        warnings = in_order([*warnings, *analysis.problems])
        self.reload_state = replace(self.reload_state, problems=tuple(warnings))
        log_warnings(self.path, warnings)
        return ReloadResult(True, changed, tuple(warnings))

    def _refused(self, problems: Sequence[Problem]) -> ReloadResult:
        self._note(False, problems)
        for problem in problems:
            logger.error("%s:%s", self.path, problem)
        logger.error("%s: the table before keeps serving", self.path)
        return ReloadResult(False, False, tuple(problems))

    def _note(self, successful: bool, problems: Sequence[Problem]) -> None:
        self._counts["success" if successful else "failure"] += 1
        self.reload_state = ReloadState(successful, self._clock(), dict(self._counts), tuple(problems))

    async def reopen_logs(self) -> None:
        """Open log files by their names again, as after a rotation."""
        for log in (self.gateway.access_log, self.gateway.connection_log):
            if log is not None:
                log.reopen()
        await self.followers.reopen_logs()

    async def metrics_snapshot(self) -> Snapshot:
        """Every metric of this gateway, all of its processes together, as plain data."""
        others = await self.followers.snapshots()
        own = self.gateway.metrics_snapshot(self.reload_state)
        return merge([own, *others]) if others else own

    async def take_tail(self) -> TailBatch:
        """The requests of all processes since the call before, or a sample of them."""
        return join([self.gateway.take_tail(), *await self.followers.tails()])

    async def _remember(self) -> None:
        self.history.observe(await self.metrics_snapshot(), self._clock())

    async def workload(self) -> Workload:
        """What is known of the transactions of the last hours, all processes together."""
        others = await self.followers.workloads()
        frozen = self.gateway.transactions.freeze()
        # A day of many transactions takes a second, which requests should not wait for.
        workload = await asyncio.to_thread(lambda: add([frozen.workload(), *others]))
        self._cpu_meter.add_to(workload)
        return workload

    async def pin_transactions(self, names: Sequence[str]) -> ReloadResult:
        """Write names into `transactions` of the table's file, and put that in force.

        Raises:
            PatternError: One of them is no method and path.
            EditError: The file cannot be edited so.
            OSError: It cannot be read or written.
        """
        for name in names:
            parse_pattern(name)
        text = (await asyncio.to_thread(content_of, self.path)).decode("utf-8")
        edited = add_transaction_names(text, names)
        try:
            await asyncio.to_thread(self._load, edited.encode())
        except ConfigError as error:
            return ReloadResult(False, False, error.problems)
        if edited != text:
            await asyncio.to_thread(replace_file, self.path, edited)
        return await self.reload()

    def transaction_names(self) -> dict[str, Any]:
        """The names of transactions, to be reviewed."""
        return names_report(self.gateway.transactions.namer)

    async def progress(self, days: float) -> Mapping[str, Any]:
        """What `/api/progress` answers; see `proxy.carveout.progress`."""
        if self._progress is None:
            return {"points": [], "days": days, "ready_to_delete": []}
        return await self._progress.document(days)

    def _monolith(self) -> list[str]:
        return monolith_of(self.runtime.config)

    def explain(self, question: Question) -> dict[str, Any]:
        """What `strangler explain --json` prints for this request; sends nothing."""
        runtime = self.runtime
        return explain_question(runtime.config, runtime.listeners[question.listener.name].table, question)


def files_named_by(config: Config) -> Iterator[Path]:
    """The certificate and OpenAPI files of a table whose files have been read."""
    for document in config.transactions.openapi:
        yield Path(document.file)
    for listener in config.listeners:
        for certificate in listener.certificates:
            yield Path(certificate.certificate_file)
            yield Path(certificate.private_key_file)
        if listener.mutual_authentication.trust_store_file:
            yield Path(listener.mutual_authentication.trust_store_file)


def read_table(path: Path) -> bytes:
    """The bytes of a table's file, no more of them than a table may have and one; raise OSError."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def log_warnings(path: Path, warnings: Sequence[Problem]) -> None:
    """Log what is doubtful about a table, not more of it than a person reads."""
    for problem in warnings[:MOST_LOGGED]:
        logger.warning("%s:%s", path, problem)
    if len(warnings) > MOST_LOGGED:
        logger.warning("%s: and %d warnings more: see strangler check", path, len(warnings) - MOST_LOGGED)
