"""The bus dies under load, and no event is acknowledged that it has not: `python -m bench.storage_first --help`.

Clients send events through the gateway (`local.event`) to a queue, a topic, an event bus and a stream of a real
MiniStack, which is killed (SIGKILL) and started again, also in the middle of an answer, and frozen (SIGSTOP) for longer
than the gateway waits. Between the two a witness writes down what the bus acknowledges. Every 202 must bear the id that
the bus gave; every other request must be answered with 502, 503 or 504, in time; what was acknowledged must arrive,
unless the bus itself was killed after that.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import uvloop

from bench.bus import EVENT_BUS, QUEUES, SOURCE, STREAM, TOPIC_ARN, WAYS, Bus, Readers
from bench.client import Client, End
from bench.peers.gateway import serve_command
from bench.processes import BenchError, exit_on_sigterm, free_ports, memory, running, tail, wait_for_port
from bench.witness import Acknowledgement, Witness
from proxy.functions.embedded_aws import aws_environment

WAIT_SECONDS = 30.0
"""How long the gateway waits for a bus (docs/storage-first.md)."""
ANSWER_SECONDS = WAIT_SECONDS + 10
"""Until when a request must have its end: the wait, and a busy machine."""
FROZEN_SECONDS = WAIT_SECONDS + 5
BURST, BURST_BYTES = 100, 100_000
"""Requests that come while the bus is frozen, beside those of the clients."""
MOST_GROWTH_KIB = 64 * 1024
"""Of the gateway's memory: the burst takes 10 MB in requests, and as much again as calls."""
PAUSE_SECONDS = 0.02
ARRIVAL_SECONDS = 60.0
"""Until when what was acknowledged has arrived, after the last that did."""
STOOD_STILL_SECONDS = 2.0
"""A loop that has not turned for so long was suspended, and the gateway with it."""
ERRORS = frozenset({502, 503, 504})


class Phase(StrEnum):
    WELL = "the bus was well"
    KILLED = "it was killed or away"
    FROZEN = "it was frozen"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and its end.

    Attributes:
        phase: The worst that happened to the bus meanwhile.
        id: That the gateway acknowledged it with.
        seconds: Without those in which the machine stood still.
    """

    event: str
    way: str
    phase: Phase
    life: int
    end: End
    status: int
    id: str
    seconds: float

    @property
    def is_acknowledged(self) -> bool:
        return self.end is End.ANSWERED and self.status == 202


@dataclass(slots=True)
class Run:
    """What came of it.

    Attributes:
        acknowledged: By event, what the bus said.
        life: The bus's last, in which it was not killed.
        halves: Kills in the middle of an answer.
        growth_kib: Of the gateway's memory, from the first seconds to its most.
        stood_still: Seconds in which the machine did nothing of this.
    """

    sent: list[Sent] = field(default_factory=list)
    acknowledged: Mapping[str, Sequence[Acknowledgement]] = field(default_factory=dict)
    arrived: Mapping[str, int] = field(default_factory=dict)
    life: int = 0
    kills: int = 0
    halves: int = 0
    growth_kib: int = 0
    stood_still: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if nothing was acknowledged in vain, 1 if something was, 2 without a result."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.clients < len(WAYS):
        parser.error(f"--clients {options.clients}: at least {len(WAYS)} are needed, one for each of {', '.join(WAYS)}")
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            run = measure(options.clients, options.kills, options.seconds, not options.no_freeze, Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    problems = problems_of(run)
    print("\n".join([*lines_of(run), *(f"problem: {problem}" for problem in problems)]))
    print("FAIL" if problems else "PASS: the bus has acknowledged each event that the gateway acknowledged")
    return 1 if problems else 0


def lines_of(run: Run) -> list[str]:
    """Return the run in figures."""
    lines = []
    for phase in Phase:
        if sent := [each for each in run.sent if each.phase is phase]:
            ends = Counter(str(each.status) if each.end is End.ANSWERED else str(each.end) for each in sent)
            slowest = max(each.seconds for each in sent)
            shown = ", ".join(f"{count} x {how}" for how, count in sorted(ends.items()))
            lines.append(f"while {phase}: {shown}; slowest {slowest:.1f} s")
    acknowledged = [each for each in run.sent if each.is_acknowledged]
    by_way = Counter(each.way for each in acknowledged)
    lines.append("acknowledged: " + ", ".join(f"{way} {by_way[way]}" for way in WAYS))
    missing = sum(each.event not in run.arrived for each in acknowledged)
    unwanted = sum(not each.is_acknowledged and each.event in run.arrived for each in run.sent)
    twice = sum(count > 1 for count in run.arrived.values())
    lines += [
        f"{run.kills} kills, {run.halves} of them within an answer; {missing} acknowledged events ended with the bus",
        f"{unwanted} events arrived though their clients were told of an error, {twice} arrived twice",
        f"the gateway's memory grew by at most {run.growth_kib / 1024:.1f} MiB",
    ]
    if run.stood_still:
        lines.append(f"the machine stood still for {run.stood_still:.0f} s")
    return lines


def problems_of(run: Run) -> list[str]:
    """Return the promises that were broken."""
    problems: Counter[str] = Counter()
    for each in run.sent:
        if each.end is not End.ANSWERED:
            problems[f"a request ended as {each.end} while {each.phase}"] += 1
        elif not each.is_acknowledged and each.status not in ERRORS:
            problems[f"{each.status} while {each.phase}"] += 1
        elif not each.is_acknowledged and each.phase is Phase.WELL and not run.stood_still:
            problems[f"{each.status} though {each.phase}"] += 1
        if each.seconds > ANSWER_SECONDS:
            problems[f"a request took more than {ANSWER_SECONDS:.0f} s"] += 1
        if each.is_acknowledged and (problem := _in_vain(each, run)):
            problems[problem] += 1
    found = [f"{count} times: {problem}" for problem, count in problems.items()]
    wells = {(each.way, each.life) for each in run.sent if each.is_acknowledged}
    for life, way in itertools.product(range(run.life + 1), WAYS):
        if (way, life) not in wells:
            found.append(f"nothing was acknowledged on the way of the {way} after {life} starts of the bus")
    if run.growth_kib > MOST_GROWTH_KIB:
        found.append(f"the gateway's memory grew by {run.growth_kib} KiB, {MOST_GROWTH_KIB} may be")
    return found


def _in_vain(each: Sent, run: Run) -> str | None:
    """Return what is wrong with a 202, if something is."""
    given = run.acknowledged.get(each.event, ())
    if not given:
        return f"acknowledged, and the bus had not ({each.way})"
    if each.id not in {acknowledgement.id for acknowledgement in given}:
        return f"acknowledged with an id that the bus did not give ({each.way})"
    if each.event not in run.arrived and all(acknowledgement.life == run.life for acknowledgement in given):
        return f"acknowledged and never arrived, though the bus lived on ({each.way})"
    return None


def measure(clients: int, kills: int, seconds: float, freeze: bool, folder: Path) -> Run:
    """Send, kill, freeze, and wait for what was acknowledged."""
    port, admin_port, witness_port, bus_port = free_ports(4)
    bus_folder = folder / "bus"
    bus_folder.mkdir()
    file, log = folder / "routes.yaml", folder / "gateway.log"
    with ExitStack() as stack:
        bus = stack.enter_context(closing(Bus(bus_port, bus_folder)))
        bus.start()
        file.write_text(table(port, bus))
        environment = aws_environment(f"http://127.0.0.1:{witness_port}")
        gateway = stack.enter_context(running(serve_command(file, admin_port), log=log, environment=environment))
        wait_for_port(port, gateway, log)
        readers = Readers(bus)
        readers.start()
        stack.callback(readers.close)
        story = _Story(bus, Witness(witness_port, bus_port), readers, gateway.pid, port)
        uvloop.run(story.tell(clients, kills, seconds, freeze))
        if gateway.poll() is not None:
            raise BenchError(f"the gateway ended with code {gateway.returncode}: {tail(log)}")
    story.run.arrived = readers.arrived
    return story.run


def table(port: int, bus: Bus) -> str:
    """Return a routes.yaml with a rule and a target group for each way into the bus."""
    event, body = "$request.header.x-event", "$request.body"
    puts: dict[str, tuple[str, dict[str, Any]]] = {
        "queue": ("SQS-SendMessage", {"QueueUrl": bus.url(QUEUES["queue"]), "MessageBody": body}),
        "topic": ("SNS-Publish", {"TopicArn": TOPIC_ARN, "Message": body}),
        "bus": (
            "EventBridge-PutEvents",
            {"Source": SOURCE, "DetailType": "an event", "Detail": body, "EventBusName": EVENT_BUS},
        ),
        "stream": ("Kinesis-PutRecord", {"StreamName": STREAM, "Data": body, "PartitionKey": event}),
    }
    rules = [
        {"name": way, "priority": number, "conditions": [{"path-pattern": f"/{way}"}], "forward": way}
        for number, way in enumerate(puts, 1)
    ]
    listener = {"port": port, "default": {"fixed-response": {"status_code": 404}}, "rules": rules}
    groups = {
        way: {"local": {"event": {"integration_subtype": subtype, "request_parameters": parameters}}}
        for way, (subtype, parameters) in puts.items()
    }
    return json.dumps({"version": 1, "listeners": [listener], "target_groups": groups})


class _Story:
    """Clients that never stop, and what happens to the bus meanwhile."""

    def __init__(self, bus: Bus, witness: Witness, readers: Readers, gateway: int, port: int) -> None:
        self.run = Run(acknowledged=witness.acknowledged)
        self._bus = bus
        self._witness = witness
        self._readers = readers
        self._gateway = gateway
        self._port = port
        self._phase = Phase.WELL
        self._changes = 0
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()

    async def tell(self, clients: int, kills: int, seconds: float, freeze: bool) -> None:
        await self._witness.open()
        others = [asyncio.create_task(self._watch_time()), asyncio.create_task(self._watch_memory(seconds))]
        load = [asyncio.create_task(self._client(way)) for _, way in zip(range(clients), itertools.cycle(WAYS))]
        try:
            await asyncio.sleep(seconds)
            for number in range(kills):
                await self._kill(halved=number % 2 == 1)
                await asyncio.sleep(seconds)
            if freeze:
                await self._freeze()
                await asyncio.sleep(seconds)
        finally:
            self._stopping.set()
            await asyncio.gather(*load)
            for task in others:
                task.cancel()
        await self._arrival()
        await self._witness.close()

    async def _kill(self, *, halved: bool) -> None:
        """Kill the bus; after a moment nothing listens where it was, and then it is back, empty."""
        self._enter(Phase.KILLED)
        if halved:
            await self._witness.half_an_answer()
            self.run.halves += 1
        await asyncio.to_thread(self._bus.kill)
        self.run.kills += 1
        await asyncio.sleep(0.2)
        await self._witness.close()
        await asyncio.to_thread(self._bus.start)
        self._witness.life += 1
        self.run.life += 1
        await self._witness.open()
        self._enter(Phase.WELL)

    async def _freeze(self) -> None:
        """Stop the bus for longer than the gateway waits, and let it go on."""
        self._enter(Phase.FROZEN)
        self._bus.freeze()
        body = b"x" * BURST_BYTES
        burst = [asyncio.create_task(self._once("queue", padding=body)) for _ in range(BURST)]
        try:
            await asyncio.sleep(FROZEN_SECONDS)
        finally:
            await asyncio.to_thread(self._bus.thaw)
            await asyncio.gather(*burst)
        self._enter(Phase.WELL)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._changes += 1

    async def _client(self, way: str) -> None:
        client = self._new_client()
        while not self._stopping.is_set():
            await self._send(client, way, b"")
            await asyncio.sleep(PAUSE_SECONDS)
        await client.close()

    async def _once(self, way: str, padding: bytes) -> None:
        client = self._new_client()
        await self._send(client, way, padding)
        await client.close()

    def _new_client(self) -> Client:
        return Client(self._port, timeout_seconds=3 * ANSWER_SECONDS, repeats=False)

    async def _send(self, client: Client, way: str, padding: bytes) -> None:
        event = f"ev-{next(self._numbers)}"
        phase, changes, life, stood_still = self._phase, self._changes, self.run.life, self.run.stood_still
        began = time.monotonic()
        body = b'{"id": "%s", "padding": "%s"}' % (event.encode(), padding)
        outcome = await client.request("POST", f"/{way}", headers=f"X-Event: {event}\r\n", body=body)
        seconds = time.monotonic() - began - (self.run.stood_still - stood_still)
        if changes != self._changes and phase is Phase.WELL:
            phase = self._phase if self._phase is not Phase.WELL else Phase.KILLED
        identifier = json.loads(outcome.body)["id"] if outcome.status == 202 else ""
        self.run.sent.append(Sent(event, way, phase, life, outcome.end, outcome.status, identifier, seconds))

    async def _watch_time(self) -> None:
        """Notice when the machine stands still, so that its time is not taken for the gateway's."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            if now - last > STOOD_STILL_SECONDS:
                self.run.stood_still += now - last
            last = now

    async def _watch_memory(self, warm_up: float) -> None:
        await asyncio.sleep(warm_up / 2)
        first = memory(self._gateway).rss_kib
        while True:
            self.run.growth_kib = max(self.run.growth_kib, memory(self._gateway).rss_kib - first)
            await asyncio.sleep(0.5)

    async def _arrival(self) -> None:
        """Return when all that the living bus has acknowledged has been read, or nothing more comes."""
        expected = {
            event
            for event, given in self._witness.acknowledged.items()
            if all(each.life == self.run.life for each in given)
        }
        left, since = len(expected), time.monotonic()
        while expected and time.monotonic() - since < ARRIVAL_SECONDS:
            expected -= self._readers.arrived.keys()
            if len(expected) < left:
                left, since = len(expected), time.monotonic()
            await asyncio.sleep(0.1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.storage_first", description=__doc__)
    parser.add_argument("--clients", type=int, default=16, help="kept connections (16)")
    parser.add_argument("--kills", type=int, default=10, help="how often the bus is killed (10)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load before, between and after (3)")
    parser.add_argument("--no-freeze", action="store_true", help="do not freeze the bus, which takes 35 s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
