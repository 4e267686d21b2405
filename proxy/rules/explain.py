"""Which rule takes a request, and why each earlier one does not, as `strangler explain --json` prints it."""

from __future__ import annotations

from typing import Any

from proxy.config.model import AuthenticationConfig, ForwardConfig, ListenerConfig, LoginConfig
from proxy.rules.actions import FixedResponse, Forward, Redirect
from proxy.rules.compiled import CompiledRule
from proxy.rules.conditions import Condition
from proxy.rules.request import RequestView
from proxy.rules.table import Table
from proxy.rules.transforms import rewritten_host, transformed


def explain(listener: ListenerConfig, table: Table, view: RequestView, *, forwarded_host: bytes) -> dict[str, Any]:
    """Return the decision on one request as a JSON document; nothing is sent.

    Args:
        listener: What `table` was compiled from; the document shows its weights, those of 0 included.
        forwarded_host: The Host header that a target would get if no transform rewrote it.

    Raises:
        TransformError: A transform of the rule fails (alb.md 4.2).
        BadRequestError, RedirectTooLongError: The rule redirects, and this request cannot be redirected
        (alb.md 3.2).
    """
    tried = list(table.explain(view))
    rule, _ = tried[-1]
    result = transformed(view, rule.transforms)
    is_default = rule.priority is None
    config = listener.default if is_default else listener.rules[rule.index].action
    first = listener.default_authentication if is_default else listener.rules[rule.index].authentication
    document: dict[str, Any] = {
        "listener": listener.name,
        "rule": _named(rule),
        "authentication": authentication_shown(first),
        "action": rule.action.name,
        "target_groups": {},
        "redirect": None,
        "fixed_response": None,
        "forwarded": None,
    }
    match rule.action:
        case Forward():
            document["target_groups"] = dict(config.weights) if isinstance(config, ForwardConfig) else {}
            host = rewritten_host(view, result) or forwarded_host
            document["forwarded"] = {"host": _text(host), "target": _text(result.target)}
        case Redirect() as redirect:
            document["redirect"] = {"status": redirect.status, "location": _text(redirect.location(result))}
        case FixedResponse(reply=reply):
            content_type = _text(dict(reply.headers)[b"Content-Type"])
            body = reply.body.decode()
            document["fixed_response"] = {"status": reply.status, "content_type": content_type, "body": body}
    document["tried"] = [_tried(rule, refusal, view) for rule, refusal in tried]
    return document


def authentication_shown(config: AuthenticationConfig | None) -> dict[str, Any] | None:
    """What may be shown of an authentication action; nothing of its client and its secret."""
    if config is None:
        return None
    mode = config.on_unauthenticated_request if isinstance(config, LoginConfig) else None
    return {"type": config.type, "issuer": config.issuer, "on_unauthenticated_request": mode}


def _named(rule: CompiledRule) -> dict[str, Any]:
    return {"name": rule.name, "priority": rule.priority}


def _tried(rule: CompiledRule, refusal: Condition | None, view: RequestView) -> dict[str, Any]:
    refused_by = None if refusal is None else {"condition": refusal.field, "saw": refusal.saw(view)}
    return {**_named(rule), "matched": refusal is None, "refused_by": refused_by}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
