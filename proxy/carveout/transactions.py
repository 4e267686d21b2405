"""Names and measures the requests of a gateway: what `proxy.gateway` calls for each, and each second.

    one process       samples are learned from here, and names change here
    workers           samples go to the supervisor with each report, and names come back (`adopt`)

Learning looks at a sample of requests, a few hundred each second at most, so that its cost is bounded. Until that many
come, the sample is all of them; then it is some clients, all of whose requests are in it.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from proxy.carveout.cell import Cell
from proxy.carveout.demand import MAX_SAMPLES, Demand
from proxy.carveout.frozen_demand import FrozenDemand
from proxy.carveout.naming import Namer, Template, given_templates, load_templates, save_templates
from proxy.carveout.sessions import Sessions, client_key, session_key
from proxy.carveout.workload import Workload
from proxy.config.model import TransactionsConfig
from proxy.observe import families
from proxy.observe.snapshot import Distribution, Snapshot, Value

MAX_MODULUS: Final = 1024
SAVE_SECONDS: Final = 10.0
"""How often names are written to the state file at most."""
CODES: Final = tuple("other" if digit in (0, 6, 7, 8, 9) else f"{digit}xx" for digit in range(10))

Sample = tuple[bytes, bytes, int, int]
"""Method, path, status and a hash of the client."""

logger = logging.getLogger(__name__)


class Transactions:
    """The transactions of this process.

    Args:
        config: `transactions` of the table.
        learns: Whether names change here; a worker takes over those of its supervisor.
        parts: Over how many processes of the gateway the requests are spread.
        state_file: Where names are kept over a restart; None for nowhere.
        now: Seconds since the epoch.

    Attributes:
        hint_header: Lower-case name of the header in which a target names a request; empty for none.
    """

    def __init__(
        self,
        config: TransactionsConfig,
        *,
        learns: bool = True,
        parts: int = 1,
        state_file: Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._learns = learns
        self._state_file = state_file
        self._now = now
        self.hint_header = config.hint_header.encode()
        self.namer = Namer(
            given_templates(config.given),
            limit=config.limit,
            distinct_clients=config.distinct_clients,
            now=now,
        )
        self.demand = Demand(self.namer.find, objective_seconds=config.objective_seconds, parts=parts, now=now)
        self._sessions = Sessions()
        self._outgoing: list[Sample] = []
        self._learned = 0
        self._settle_at = 0
        self._version = self.namer.version
        self._saved_version = self._version
        self._saved_at = 0.0
        self._loopback = 0
        if state_file is not None and learns:
            self.namer.restore(load_templates(state_file))
            self._saved_version = self.namer.version

    def serving(self, config: TransactionsConfig) -> None:
        """Take up a new table."""
        if config != self._config:
            self._config = config
            self.hint_header = config.hint_header.encode()
            self.demand.objective_seconds = config.objective_seconds
            self.namer.give(given_templates(config.given))
            self._names_changed()

    def tick(self) -> None:
        """Learn from the last second's sample, and close what is over; some milliseconds at most."""
        self._take_samples()
        if self._learns and self._learned >= self._settle_at:
            # Names change fast while there are few, and what is known well is looked at seldom.
            self._settle_at = self._learned + max(self._learned // 20, 1)
            self.namer.settle()
        if self.namer.version != self._version:
            self._names_changed()
        self.demand.tick()
        self._save()

    def _names_changed(self) -> None:
        self._version = self.namer.version
        self.demand.renamed = self.namer.current_names
        self.demand.names_changed()

    def _take_samples(self) -> None:
        demand = self.demand
        samples, demand.samples = demand.samples, []
        for record in samples:
            view = record.view
            if view is None:
                continue
            client = self._client(view.fields, record.client)
            self._outgoing.append((record.method, view.path, record.status, client))
            name = record.hint or self.namer.find(record.method, view.path)
            if name is not None and not record.tunnel:
                cell = demand.cell(name, record.target_group, record.method)
                self._sessions.note(session_key(view.fields, record.client), cell)
        if len(samples) == MAX_SAMPLES:
            # Some were left out: from now on fewer clients, but all that these do.
            demand.modulus = min(demand.modulus * 2, MAX_MODULUS)
            self._sessions.interrupt()
        elif len(samples) < MAX_SAMPLES // 8 and demand.modulus > 1:
            demand.modulus //= 2
            self._sessions.interrupt()
        if self._learns:
            self.learn(self.take_samples())
        elif len(self._outgoing) > 4 * MAX_SAMPLES:
            del self._outgoing[: -4 * MAX_SAMPLES]

    def _client(self, fields: Any, peer: str) -> int:
        """A hash of who asks. On the machine itself each request counts as another client's: somebody is testing."""
        if b"x-forwarded-for" not in fields and _is_loopback(peer):
            self._loopback += 1
            return self._loopback
        return client_key(fields, peer)

    # Supervisor and workers

    def take_samples(self) -> list[Sample]:
        """What is to be learned from since the last call."""
        samples, self._outgoing = self._outgoing, []
        return samples

    def learn(self, samples: Iterable[Sample]) -> None:
        """Learn from requests of this process or of others."""
        for method, path, status, client in samples:
            self.namer.learn(method, path, status, client)
            self._learned += 1

    def adopt(self, templates: Sequence[Template]) -> None:
        """Take over the names of the supervisor."""
        self.namer.adopt(templates)
        if self.namer.version != self._version:
            self._names_changed()

    def _save(self) -> None:
        if self._state_file is None or not self._learns or self._saved_version == self.namer.version:
            return
        if self._now() - self._saved_at < SAVE_SECONDS:
            return
        self.save()

    def save(self) -> None:
        """Write the learned names to the state file, if there is one and they changed."""
        if self._state_file is None or not self._learns or self._saved_version == self.namer.version:
            return
        self._saved_version = self.namer.version
        self._saved_at = self._now()
        try:
            save_templates(self._state_file, self.namer.learned)
        except OSError as error:
            logger.warning("names of transactions are not kept over a restart: %s", error)
            self._state_file = None

    # What is seen of it

    def workload(self) -> Workload:
        """What this process measured."""
        return self.demand.workload()

    def freeze(self) -> FrozenDemand:
        """The same, to be put together in another thread."""
        return self.demand.freeze()

    def snapshot(self) -> Snapshot:
        """The counts as metrics."""
        requests: list[Value] = []
        durations: list[Distribution] = []
        for cell in self.demand.cells:
            if cell.exposed is None or cell.exposed[0] != cell.requests:
                # Workers report every second, and most transactions are asked for less often than that.
                cell.exposed = cell.requests, *_exposed(cell)
            requests += cell.exposed[1]
            durations += cell.exposed[2]
        values: dict[str, list[Value]] = {
            families.TRANSACTION_NAMES.name: [
                {"labels": [source], "value": count} for source, count in self.namer.counts.items()
            ],
            families.TRANSACTION_OVERFLOW.name: [{"labels": [], "value": self.namer.overflow}],
        }
        if requests:
            values[families.TRANSACTION_REQUESTS.name] = requests
        return {
            "values": values,
            "distributions": {families.TRANSACTION_DURATION.name: durations} if durations else {},
        }


def _exposed(cell: Cell) -> tuple[list[Value], list[Distribution]]:
    labels = [cell.name, cell.target_group]
    by_class: dict[str, int] = {}
    for code, count in zip(CODES, cell.codes, strict=True):
        by_class[code] = by_class.get(code, 0) + count
    values: list[Value] = [{"labels": [*labels, code], "value": count} for code, count in by_class.items() if count]
    counts = cell.duration_counts
    return values, [{"labels": labels, "counts": counts, "sum": cell.seconds}] if any(counts) else []


@lru_cache(maxsize=256)
def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return True
