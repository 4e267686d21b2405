"""Listeners and their rules (alb.md 1)."""

from __future__ import annotations

from typing import Any, Literal, cast

from proxy.config.actions import ACTION_FIELDS, DEFAULT_ACTIONS, Actions, actions_of
from proxy.config.attributes import LISTENER_ATTRIBUTES
from proxy.config.conditions import CONDITIONS
from proxy.config.model import (
    CertificateConfig,
    FixedResponseConfig,
    ListenerAttributes,
    ListenerConfig,
    MutualAuthenticationConfig,
    RuleConfig,
)
from proxy.config.records import Effect, Field, Fields, ListOf, Record, Unknown
from proxy.config.shapes import Choice, Fault, Integer, Text
from proxy.config.ssl_policies import DEFAULT_SSL_POLICY, SSL_POLICIES
from proxy.config.transforms import TRANSFORMS

MAX_PRIORITY = 50_000


def _no_control(text: str) -> Fault | None:
    return None if text.isprintable() else Fault("invalid-character", "contains a character that is not printable")


def _not_default(text: str) -> Fault | None:
    if text != "default":
        return None
    return Fault("reserved-name", "is the name of the default rule; choose another")


# Rules

RULE_NAME = Field(
    "name",
    Text("a rule name", longest=128, checks=(_no_control, _not_default)),
    "Unique in the listener; default rule-<priority>.",
)
PRIORITY = Field(
    "priority",
    Integer(1, MAX_PRIORITY),
    "1 to 50000, unique in the listener; the lowest that matches wins.",
    required=True,
)
RULE_CONDITIONS = Field("conditions", CONDITIONS, "All must hold; of the values in one condition any.", required=True)
MIGRATION = Field(
    "migration",
    Unknown("a mapping of settings that the load balancer does not have"),
    "Shadow requests, comparison, fallback: what the load balancer does not have.",
    effect=Effect.LATER,
    default=False,
)


def _rule(fields: Fields) -> RuleConfig:
    priority = fields.get(PRIORITY, 0)
    # Without a priority the path stands in, so that two such rules do not seem to share a name.
    name = fields.get(RULE_NAME, f"rule-{priority}" if priority else fields.place.path)
    conditions, transforms = fields.get(RULE_CONDITIONS, ()), fields.get(TRANSFORMS, ())
    actions = actions_of(fields)
    return RuleConfig(name, priority, conditions, actions.routing, transforms, actions.authentication, fields.place)


RULE: Record[RuleConfig] = Record(
    "a rule", (RULE_NAME, PRIORITY, RULE_CONDITIONS, *ACTION_FIELDS, TRANSFORMS, MIGRATION), _rule
)

# Certificates

_FILE = Text("a file path", longest=4096)
_CERTIFICATE_FILE = Field("certificate_file", _FILE, "PEM, relative to this file; the chain after it.", required=True)
_PRIVATE_KEY_FILE = Field("private_key_file", _FILE, "PEM, relative to this file.", required=True)
_CERTIFICATE: Record[CertificateConfig] = Record(
    "a certificate",
    (_CERTIFICATE_FILE, _PRIVATE_KEY_FILE),
    lambda fields: CertificateConfig(
        fields.get(_CERTIFICATE_FILE, ""), fields.get(_PRIVATE_KEY_FILE, ""), place=fields.place
    ),
)
CERTIFICATES = Field(
    "certificates",
    ListOf(_CERTIFICATE, "a list of certificates", shortest=1),
    "The first is the default, the others are chosen by SNI.",
)
SSL_POLICY = Field(
    "ssl_policy",
    Choice(*SSL_POLICIES, noun="a predefined SSL policy of the load balancer"),
    "TLS versions and ciphers.",
    default=DEFAULT_SSL_POLICY,
)
_MUTUAL_MODE = Field("mode", Choice("off", "passthrough", "verify"), "off, passthrough or verify.", required=True)
_TRUST_STORE = Field("trust_store_file", _FILE, "PEM, relative to this file; for verify.")


def _mutual(fields: Fields) -> MutualAuthenticationConfig:
    mode = fields.get(_MUTUAL_MODE, "off")
    if mode == "verify" and not fields.has(_TRUST_STORE):
        fields.report.error("missing-key", fields.place, "trust_store_file is missing: mode verify needs it")
    if mode != "verify" and fields.has(_TRUST_STORE) and fields.at(_MUTUAL_MODE).path not in fields.report.failed:
        fields.error("conflicting-keys", _TRUST_STORE, f"trust_store_file is for mode verify, this is {mode}")
    return MutualAuthenticationConfig(
        cast(Literal["off", "passthrough", "verify"], mode), fields.get(_TRUST_STORE, ""), place=fields.place
    )


MUTUAL = Field(
    "mutual_authentication",
    Record("mutual authentication", (_MUTUAL_MODE, _TRUST_STORE), _mutual),
    "Client certificates.",
)

# Listener

LISTENER_NAME = Field(
    "name",
    Text("a listener name", longest=128, checks=(_no_control,)),
    "Unique; default <protocol>-<port>.",
)
LISTENER_PORT = Field("port", Integer(1, 65535), "Where it listens; unique.", required=True)
LISTENER_PROTOCOL = Field("protocol", Choice("HTTP", "HTTPS"), "HTTP or HTTPS.", default="HTTP")
DEFAULT: Field[Actions] = Field(
    "default",
    DEFAULT_ACTIONS,
    "The action when no rule matches: forward, redirect or fixed-response.",
    required=True,
)
RULES = Field("rules", ListOf(RULE, "a list of rules"), "In any order; priorities decide.")
ATTRIBUTES = Field("attributes", LISTENER_ATTRIBUTES, "Listener attributes, keys as in the ELBv2 API.")


def _listener(fields: Fields) -> ListenerConfig:
    protocol = cast(Literal["HTTP", "HTTPS"], fields.get(LISTENER_PROTOCOL, "HTTP"))
    port = fields.get(LISTENER_PORT, 0)
    mutual = fields.get(MUTUAL, MutualAuthenticationConfig())
    attributes = fields.get(ATTRIBUTES, ListenerAttributes())
    if protocol == "HTTPS" and not fields.has(CERTIFICATES):
        fields.report.error("missing-key", fields.place, "certificates is missing: an HTTPS listener needs one")
    if protocol == "HTTP":
        only_https: tuple[Field[Any], ...] = (CERTIFICATES, SSL_POLICY)
        for field in only_https:
            if fields.has(field) and fields.at(LISTENER_PROTOCOL).path not in fields.report.failed:
                fields.error("conflicting-keys", field, f"{field.name} is for listeners with protocol: HTTPS")
        if mutual.mode != "off":
            fields.error("conflicting-keys", MUTUAL, "mutual_authentication is for listeners with protocol: HTTPS")
        if attributes.renamed_headers:
            header = attributes.renamed_headers[0][0]
            fields.error("conflicting-keys", ATTRIBUTES, f"{header} is for listeners with protocol: HTTPS")
    default = fields.get(DEFAULT, Actions(None, FixedResponseConfig(503)))
    rules = sorted(fields.get(RULES, ()), key=lambda rule: rule.priority)
    return ListenerConfig(
        name=fields.get(LISTENER_NAME, f"{protocol}-{port}" if port else fields.place.path),
        port=port,
        default=default.routing,
        rules=tuple(rules),
        protocol=protocol,
        default_authentication=default.authentication,
        attributes=attributes,
        certificates=fields.get(CERTIFICATES, ()),
        ssl_policy=fields.get(SSL_POLICY, DEFAULT_SSL_POLICY),
        mutual_authentication=mutual,
        place=fields.place,
    )


LISTENERS = ListOf(
    Record(
        "a listener",
        (
            LISTENER_NAME,
            LISTENER_PORT,
            LISTENER_PROTOCOL,
            DEFAULT,
            RULES,
            ATTRIBUTES,
            CERTIFICATES,
            SSL_POLICY,
            MUTUAL,
        ),
        _listener,
    ),
    "a list of listeners",
    shortest=1,
)
