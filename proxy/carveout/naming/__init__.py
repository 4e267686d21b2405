"""Gives each request a name out of a bounded set, `GET /orders/{id}`, without being told the routes."""

from proxy.carveout.naming.given import given_templates
from proxy.carveout.naming.namer import DEFAULT_LIMIT, Namer, Rename
from proxy.carveout.naming.state import load_templates, save_templates
from proxy.carveout.naming.templates import OTHER, UNMATCHED, Template

__all__ = [
    "DEFAULT_LIMIT",
    "OTHER",
    "UNMATCHED",
    "Namer",
    "Rename",
    "Template",
    "given_templates",
    "load_templates",
    "save_templates",
]
