"""A worker process: forwards, and does what its supervisor says. Started by `proxy.workers.fleet`, not by people."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from proxy.carveout.workload_json import workload_to_json
from proxy.cli.logs import open_logs
from proxy.cli.ports import bind, tls_problems
from proxy.cli.running import ListenerServer, listener_config, run_loop, set_up_log, tune_garbage_collector
from proxy.cli.traces import open_request_spans
from proxy.config.certificates import TableFiles
from proxy.config.load import load
from proxy.config.problem import ConfigError
from proxy.control import Control
from proxy.workers.channel import Channel, ChannelClosedError, Message
from proxy.workers.messages import loads_of, mirror_members, problem_to_json, samples_to_json, templates_from_json


class _Server(ListenerServer):
    """Tells when it accepts connections."""

    def __init__(self, config: uvicorn.Config, control: Control, host: str) -> None:
        super().__init__(config, control, host, shared=True)
        self.is_accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_accepting.set()


class Worker:
    """One worker, after its start message."""

    def __init__(self, channel: Channel, start: Message) -> None:
        self._channel = channel
        content: str = start["content"]
        path = Path(start["path"])
        access_log, connection_log = open_logs(start)
        config = load(content, os.environ, str(path), TableFiles(path.parent))
        if problems := tls_problems(config):
            raise ConfigError(problems, str(path))
        spans = open_request_spans(start["otlp_endpoint"], rewrites=start["rewrite_traceparent"])
        self._control = control = Control(
            path,
            config,
            access_log=access_log,
            connection_log=connection_log,
            spans=spans,
            keeps_targets=False,
            parts=start["workers"],
        )
        mirror_members(control.runtime, start["targets"])
        control.gateway.transactions.adopt(templates_from_json(start["names"]))
        self._server = _Server(listener_config(control, watch=False), control, start["host"])
        self._sockets = [bind(start["host"], listener.port, shared=True) for listener in config.listeners]

    async def run(self) -> None:
        """Serve until the supervisor is gone or says so, then drain."""
        obeying = asyncio.create_task(self._obey())
        tune_garbage_collector()
        await self._server.serve(self._sockets)
        obeying.cancel()
        await asyncio.gather(obeying, return_exceptions=True)

    async def _obey(self) -> None:
        try:
            await self._server.is_accepting.wait()
            await self._channel.send({})
            while True:
                message = await self._channel.receive()
                await self._channel.send(await self._do(message))
        except ChannelClosedError:
            self._server.should_exit = True

    async def _do(self, message: Message) -> Message:
        control = self._control
        match message["word"]:
            case "stage":
                problems = await control.stage(message["content"].encode())
                return {"problems": [problem_to_json(problem) for problem in problems]}
            case "commit":
                gone = [group for name, group in control.runtime.groups.items()]
                await control.commit()
                mirror_members(control.runtime, message["targets"])
                for group in gone:
                    if group.name not in control.runtime.groups:
                        delay = group.config.attributes.deregistration_delay_seconds
                        asyncio.get_running_loop().call_later(delay, group.mirror, [])
            case "abandon":
                await control.abandon()
            case "targets":
                mirror_members(control.runtime, message["targets"])
            case "report":
                snapshot = await control.metrics_snapshot()
                samples = samples_to_json(control.gateway.transactions.take_samples())
                return {"snapshot": snapshot, "loads": loads_of(control.runtime), "samples": samples}
            case "tail":
                return {"tail": control.gateway.take_tail()}
            case "names":
                control.gateway.transactions.adopt(templates_from_json(message["names"]))
            case "workload":
                frozen = control.gateway.transactions.freeze()
                return {"workload": await asyncio.to_thread(lambda: workload_to_json(frozen.workload()))}
            case "reopen":
                await control.reopen_logs()
            case word:
                raise ValueError(f"the supervisor says {word!r}")
        return {}


async def main(descriptor: int) -> None:
    """Serve as the supervisor at the other end of this socket says."""
    # Whoever sends SIGHUP to all processes means the supervisor, which tells its workers; by default it would end them.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    channel = await Channel.over(socket.socket(fileno=descriptor))
    try:
        start = await channel.receive()
    except ChannelClosedError:
        return
    set_up_log(start["log_level"])
    try:
        worker = Worker(channel, start)
    except (OSError, ConfigError) as error:
        await channel.send({"error": str(error)})
        return
    await worker.run()


if __name__ == "__main__":
    run_loop(main(int(sys.argv[1])))
