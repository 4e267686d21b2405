"""Plays a `Story`: clients that keep cookies, targets that come and go, and clocks."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable

import yaml
from live_gateway import wait_until
from scripted_target import ScriptedTarget
from wire import Message, Wire, connect

from proxy.config.load import load_with_warnings
from proxy.runtime import build
from proxy.targets.group import TargetGroup
from proxy.targets.health import ProbeResult
from proxy.targets.target import Target
from tests.conformance.gateway_bench import SWITCH, TABLE, Bench, enforce
from tests.conformance.rows import Story

_ASK = re.compile(r"(?:(\w+) )?([A-Z]+) (/\S*)(?: -> ([A-Z0-9 ]+?))?(?:,? ?sets ([\w\- ]+))?")


class Stage:
    """One story at one door."""

    def __init__(self, bench: Bench, story: Story) -> None:
        self._bench = bench
        self._live = bench.live
        self._clock = bench.clocks.of_targets
        self._before = self._clock.ahead
        self._groups = yaml.safe_load(story.groups)
        self._forward = yaml.safe_load(story.forward)
        self._stickiness = story.stickiness
        self._targets: dict[str, ScriptedTarget] = {}
        self._jars: dict[str, dict[str, str]] = {}
        self._held: list[Wire] = []
        self._sockets: list[Wire] = []
        self._over = threading.Event()
        self._is_released = False
        self._status: dict[str, bytes] = {}
        chance = itertools.cycle(story.chance)
        self._draw: Callable[[], float] = lambda: next(chance)
        self._live.gateway.draw = self._draw
        enforce(self._live, self._runtime, self._live.port)

    def close(self) -> None:
        self._over.set()
        for wire in (*self._held, *self._sockets):
            wire.close()
        wait_until(lambda: not any(target.in_flight for target in self._live.targets), "a request is still in flight")
        self._live.gateway.draw = lambda: 0.0
        self._clock.ahead = self._before
        for target in self._targets.values():
            target.close()
        assert [failure for target in self._targets.values() for failure in target.failures] == []

    def play(self, step: str) -> None:
        """Do what a step says, and see that it is so."""
        for pattern, do in _STEPS:
            match = pattern.fullmatch(step)
            if match is not None:
                do(self, *match.groups())
                return
        raise ValueError(f"no such step: {step!r}")

    # The table

    def _runtime(self) -> object:
        groups = {}
        for name, group in self._groups.items():
            urls = [f"http://127.0.0.1:{self._target(letter).port}" for letter in group["targets"]]
            groups[name] = {"health_check": {"enabled": False}, **group, "targets": urls}
        default = f"{{forward: {self._forward if isinstance(self._forward, str) else _flow(self._forward)}"
        default += f", stickiness: {self._stickiness}}}" if self._stickiness else "}"
        more = "".join(f"  {name}: {_flow(group)}\n" for name, group in groups.items() if name != "targets")
        text = TABLE.format(
            attributes="{}", listener="{}", rules="[]", default=default, port=self._live.port, entry="",
            group=_flow(groups["targets"]), more=more,
        )  # fmt: skip
        config, _ = load_with_warnings(text, {})
        return build(config, self._live.gateway.metrics, clock=self._clock.monotonic, draw=self._draw)

    def _reload(self) -> None:
        self._live.call(lambda: self._live.gateway.replace(self._runtime()))  # type: ignore[arg-type]

    def leaves(self, letter: str) -> None:
        for group in self._groups.values():
            group["targets"] = [each for each in group["targets"] if each != letter]
        self._reload()

    def joins(self, letter: str) -> None:
        self._groups["targets"]["targets"].append(letter)
        self._reload()

    def weights(self, text: str) -> None:
        self._forward = dict(zip(self._forward, map(int, text.split()), strict=True))
        self._reload()

    def without_stickiness(self) -> None:
        self._stickiness = ""
        self._reload()

    # Targets

    def _target(self, letter: str) -> ScriptedTarget:
        if letter not in self._targets:
            one = self._targets[letter] = ScriptedTarget()
            one.script = lambda wire: self._serve(one, letter.encode(), wire)
        return self._targets[letter]

    def _serve(self, target: ScriptedTarget, letter: bytes, wire: Wire) -> None:
        while True:
            request = target.take(wire)
            path = request.target
            if path == b"/held" and not (self._over.wait(20) and self._is_released):
                return
            if path == b"/socket":
                wire.send(SWITCH)
                while True:
                    wire.exactly(5)
                    wire.send(letter)
            cookie = b""
            if path.startswith(b"/login"):
                cookie = b"Set-Cookie: sid=%s; Path=/\r\n" % (letter * int(path[6:] or b"1"))
            if path == b"/logout":
                cookie = b"Set-Cookie: sid=; Path=/; Max-Age=0\r\n"
            status = self._status.get(letter.decode(), b"200")
            wire.send(b"HTTP/1.1 %s x\r\n%sContent-Length: 1\r\n\r\n%s" % (status, cookie, letter))

    def _found(self, letter: str) -> tuple[TargetGroup, Target]:
        port = self._target(letter).port
        for group in self._live.gateway.runtime.groups.values():
            for target in group.targets:
                if target.port == port:
                    return group, target
        raise AssertionError(f"{letter} is not registered")

    def checks(self, letter: str, verb: str, count: str) -> None:
        result = ProbeResult(status=200 if verb == "passes" else 500)

        def check() -> None:
            group, target = self._found(letter)
            for _ in range(int(count)):
                group.check_begins(target)
                group.observe(target, result)

        self._live.call(check)

    def is_in_state(self, letter: str, state: str, reason: str | None) -> None:
        if state == "gone":
            ports = {target.port for group in self._live.gateway.runtime.groups.values() for target in group.targets}
            assert self._target(letter).port not in ports
            return
        _, target = self._found(letter)
        assert (str(target.state), str(target.reason)) == (state, reason or str(target.reason)), letter

    def are_healthy(self, letters: str) -> None:
        """They are: their checks are off. But they must be registered before the first look."""
        for letter in letters:
            self._found(letter)

    def answers(self, letter: str, status: str) -> None:
        self._status[letter] = status.encode()

    def is_in_slow_start(self, letter: str, word: str) -> None:
        _, target = self._found(letter)
        assert (target.slow_start_since is not None) == (word == "in slow start"), letter

    def slow_start_becomes(self, seconds: str) -> None:
        self._groups["targets"]["attributes"] = {"slow_start.duration_seconds": int(seconds)}
        self._reload()

    def is_anomalous(self, letter: str, word: str) -> None:
        _, target = self._found(letter)
        assert target.is_anomalous == (word == "anomalous"), letter

    def goes_away(self, letter: str) -> None:
        self._target(letter).close()

    # Time

    def passes(self, seconds: str) -> None:
        self._clock.ahead += float(seconds)

        def tend() -> None:
            for group in self._live.gateway.runtime.groups.values():
                group.tend()
                group.remove_drained()

        self._live.call(tend)

    # Clients

    def ask(self, who: str | None, method: str, path: str, seen: str | None, sets: str | None) -> None:
        found = []
        names: list[str] = []
        for _ in range(len(seen.split()) if seen else 1):
            response, names = self._request(method, path, self._jars.setdefault(who, {}) if who else {})
            found.append(response.body.decode() if response.status == 200 else str(response.status))
        assert not seen or " ".join(found) == seen
        assert sets is None or " ".join(names) == (sets if sets != "nothing" else "")

    def _request(self, method: str, path: str, jar: dict[str, str]) -> tuple[Message, list[str]]:
        # A header line is at most 16 K, so each cookie has its own.
        cookies = "".join(f"Cookie: {name}={value}\r\n" for name, value in jar.items())
        with connect(self._live.port) as client:
            client.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{cookies}\r\n".encode())
            response = client.response(to=method)
        names = []
        for line in response.values("set-cookie"):
            name, _, value = line.partition(b";")[0].decode().partition("=")
            names.append(name)
            if b"1970" in line or b"Max-Age=0" in line:
                jar.pop(name, None)
            else:
                jar[name] = value
        return response, names

    def many(self, count: str, path: str) -> None:
        for _ in range(int(count)):
            self._request("GET", path, {})

    def share(self, count: str, expected: str) -> None:
        answers = [self._request("GET", "/", {})[0].body.decode() for _ in range(int(count))]
        found = {letter: answers.count(letter) for letter in sorted(set(answers))}
        assert " ".join(f"{letter} {number}" for letter, number in found.items()) == expected

    def forgets(self, who: str, name: str) -> None:
        del self._jars[who][name]

    def spoils(self, who: str, name: str) -> None:
        value = self._jars[who][name]
        self._jars[who][name] = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]

    def encodes(self, who: str, name: str) -> None:
        # Whatever the value is made of: its first character in another spelling.
        value = self._jars[who][name]
        self._jars[who][name] = f"%{ord(value[0]):02X}{value[1:]}"

    def hold(self, letter: str) -> None:
        before = {each: len(target.requests) for each, target in self._targets.items()}
        wire = connect(self._live.port)
        self._held.append(wire)
        wire.send(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        grown = lambda: [each for each, target in self._targets.items() if len(target.requests) > before[each]]  # noqa: E731
        wait_until(lambda: bool(grown()), "no target got the request")
        assert grown() == [letter]

    def held(self, seen: str) -> None:
        if seen.isalpha():
            self._is_released = True
            self._over.set()
        with self._held.pop(0) as wire:
            response = wire.response()
        assert seen == (response.body.decode() if seen.isalpha() else str(response.status))

    def socket(self, letter: str) -> None:
        if not self._sockets:
            self._sockets.append(connect(self._live.port))
            self._sockets[0].send(
                b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )
            assert self._sockets[0].head().status == 101
        self._sockets[0].send(b"hello")
        assert self._sockets[0].exactly(1).decode() == letter

    def logs(self, field: str, value: str) -> None:
        assert self._bench.log_line(-1)[field] == value

    def counts(self, name: str, number: str) -> None:
        assert self._bench.metric(name) == float(number)


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).strip()


_STEPS: tuple[tuple[re.Pattern[str], Callable[..., None]], ...] = (
    (_ASK, Stage.ask),
    (re.compile(r"(\d+) times GET (\S+)"), Stage.many),
    (re.compile(r"(\d+) times -> (.+)"), Stage.share),
    (re.compile(r"hold (\w)"), Stage.hold),
    (re.compile(r"held -> (\w+)"), Stage.held),
    (re.compile(r"socket -> (\w)"), Stage.socket),
    (re.compile(r"(\w) (passes|fails) (\d+)"), Stage.checks),
    (re.compile(r"(\w) is (anomalous|normal)"), Stage.is_anomalous),
    (re.compile(r"(\w) is (in slow start|at full share)"), Stage.is_in_slow_start),
    (re.compile(r"(\w+) are healthy"), Stage.are_healthy),
    (re.compile(r"(\w) answers (\d+)"), Stage.answers),
    (re.compile(r"slow start becomes (\d+)"), Stage.slow_start_becomes),
    (re.compile(r"(\w) is (\w+)(?: ([\w.]+))?"), Stage.is_in_state),
    (re.compile(r"(\w) goes away"), Stage.goes_away),
    (re.compile(r"(\w) leaves"), Stage.leaves),
    (re.compile(r"(\w) joins"), Stage.joins),
    (re.compile(r"weights ([\d ]+)"), Stage.weights),
    (re.compile(r"stickiness is switched off"), Stage.without_stickiness),
    (re.compile(r"(\d+) s pass"), Stage.passes),
    (re.compile(r"(\w+) forgets (\S+)"), Stage.forgets),
    (re.compile(r"(\w+) spoils (\S+)"), Stage.spoils),
    (re.compile(r"(\w+) encodes (\S+)"), Stage.encodes),
    (re.compile(r"logs (\S+) (\S+)"), Stage.logs),
    (re.compile(r"counts (\S+) (\d+)"), Stage.counts),
)
