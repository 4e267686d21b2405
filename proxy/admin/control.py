"""What the admin port needs of a gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from proxy.carveout.workload import Workload
from proxy.config.model import Config, ListenerConfig
from proxy.config.problem import Problem
from proxy.observe.history import History
from proxy.observe.live import ReloadState
from proxy.observe.snapshot import Snapshot
from proxy.observe.tail import TailBatch
from proxy.rules.question import Question


class ListenerView(Protocol):
    """A listener that serves."""

    @property
    def config(self) -> ListenerConfig: ...


class TargetGroupView(Protocol):
    """A target group that serves."""

    def describe(self) -> Mapping[str, Any]:
        """Return the group as `models.TargetGroup` has it."""
        ...


class RuntimeView(Protocol):
    """The table that serves."""

    @property
    def config(self) -> Config: ...

    @property
    def listeners(self) -> Mapping[str, ListenerView]: ...

    @property
    def groups(self) -> Mapping[str, TargetGroupView]: ...


class ReloadResult(Protocol):
    """How a reload went. `changed` is False when the file says what already serves."""

    @property
    def ok(self) -> bool: ...

    @property
    def problems(self) -> Sequence[Problem]: ...

    @property
    def changed(self) -> bool: ...


class GatewayControl(Protocol):
    """A gateway, seen from its admin port."""

    @property
    def runtime(self) -> RuntimeView | None:
        """The table that serves; None before the first one is built."""
        ...

    @property
    def is_listening(self) -> bool:
        """Whether the listeners' ports are open."""
        ...

    @property
    def reload_state(self) -> ReloadState: ...

    @property
    def history(self) -> History:
        """The last minutes."""
        ...

    async def metrics_snapshot(self) -> Snapshot: ...

    async def take_tail(self) -> TailBatch:
        """Return the requests since the call before, or a sample of them."""
        ...

    async def reload(self) -> ReloadResult:
        """Read `routes.yaml` again; on a problem the table before keeps serving."""
        ...

    def oidc_public_key(self, kid: str) -> bytes | None:
        """Return the PEM of the key that signs `x-amzn-oidc-data`, None if it has another id."""
        ...

    async def workload(self) -> Workload:
        """What is known of the transactions of the last hours."""
        ...

    async def progress(self, days: float) -> Mapping[str, Any]:
        """How far the migration is, and the monolith's transactions that were not hit for so many days."""
        ...

    def transaction_names(self) -> Mapping[str, Any]:
        """Return the names of transactions as `models.TransactionNames` has them."""
        ...

    async def pin_transactions(self, names: Sequence[str]) -> ReloadResult:
        """Write names into `routes.yaml` and put it in force; raise PatternError, EditError or OSError."""
        ...

    def explain(self, question: Question) -> Mapping[str, Any]:
        """Return what `strangler explain --json` prints for this request; sends nothing."""
        ...
