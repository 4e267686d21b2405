"""The whole language of `routes.yaml`, put together: what `load` reads with and `schema` describes."""

from __future__ import annotations

from dataclasses import replace

from proxy.config.attributes import LOAD_BALANCER_ATTRIBUTES
from proxy.config.listeners import LISTENERS
from proxy.config.model import Config, LoadBalancerAttributes, TransactionsConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Field, Fields, Record
from proxy.config.shapes import Integer
from proxy.config.target_groups import TARGET_GROUPS
from proxy.config.transactions import TRANSACTIONS

VERSION = 1


def _known_version(version: int, place: Place, report: Report) -> int | None:
    if version == VERSION:
        return version
    report.error("unknown-version", place, f"version {version} is not known; this gateway reads version {VERSION}")
    return None


_VERSION = Field("version", Integer(1, 999).then(_known_version), f"Always {VERSION}.", required=True)
_ATTRIBUTES = Field("attributes", LOAD_BALANCER_ATTRIBUTES, "Load balancer attributes, keys as in the ELBv2 API.")
_LISTENERS = Field("listeners", LISTENERS, "Where clients connect, and the rules there.", required=True)
_TARGET_GROUPS = Field("target_groups", TARGET_GROUPS, "Where requests go.")
_TRANSACTIONS = Field("transactions", TRANSACTIONS, "How requests get their names; not of the load balancer.")


def _config(fields: Fields) -> Config:
    attributes = fields.get(_ATTRIBUTES, LoadBalancerAttributes())
    listeners = fields.get(_LISTENERS, ())
    return Config(
        tuple(replace(listener, http2=attributes.http2) for listener in listeners),
        fields.get(_TARGET_GROUPS, {}),
        attributes,
        fields.get(_TRANSACTIONS, TransactionsConfig()),
    )


TABLE: Record[Config] = Record("a table", (_VERSION, _ATTRIBUTES, _LISTENERS, _TARGET_GROUPS, _TRANSACTIONS), _config)
