"""Which target groups are the monolith."""

from __future__ import annotations

from proxy.config.model import Config, ForwardConfig


def monolith_of(config: Config) -> list[str]:
    """The target groups of the listeners' default forwards: what no rule has taken yet is the monolith's."""
    groups: dict[str, None] = {}
    for listener in config.listeners:
        if isinstance(listener.default, ForwardConfig):
            groups |= dict.fromkeys(name for name, weight in listener.default.weights if weight)
    return list(groups)
