"""Which integration a target group has."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.model import TargetGroupConfig
from proxy.integrations.event import EventIntegration
from proxy.integrations.function import FUNCTIONS
from proxy.integrations.service import Integration


def integration_of(config: TargetGroupConfig, environ: Mapping[str, str]) -> Integration:
    """The integration of a group that has one.

    Raises:
        BadEndpointError: The environment names an endpoint that is none.
    """
    if config.event is not None:
        return EventIntegration(config.event, environ)
    assert config.function is not None
    return FUNCTIONS[config.function.payload](config.function, environ)
