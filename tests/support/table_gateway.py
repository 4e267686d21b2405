"""A gateway behind uvicorn with a table given as text."""

from __future__ import annotations

from live_gateway import Door, LiveGateway

from proxy.config.load import load_with_warnings
from proxy.runtime import build


def gateway_with(table: str, *, door: Door = "listener", listener: str = "{}", attributes: str = "{}") -> LiveGateway:
    """One listener that forwards to `targets`, which is one of the target groups in `table` (YAML)."""
    live = LiveGateway(door=door)
    use_table(live, table, listener=listener, attributes=attributes)
    return live


def use_table(live: LiveGateway, table: str, *, listener: str = "{}", attributes: str = "{}") -> None:
    """Put another table in force."""
    text = f"version: 1\nattributes: {attributes}\nlisteners:\n"
    text += f"- {{name: web, port: {live.port}, default: {{forward: targets}}, attributes: {listener}}}\n"
    config, _ = load_with_warnings(f"{text}target_groups: {table}\n", {})
    gateway = live.gateway
    live.call(lambda: gateway.replace(build(config, gateway.metrics)))
