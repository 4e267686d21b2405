"""What becomes of a request that somebody asks about: the rules' answer, with what a target would get."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Config, LoadBalancerAttributes
from proxy.forward.headers import forwarded_for, host_to_target, target_in_origin_form
from proxy.http1.head import join_fields
from proxy.http1.mitigation import mitigate
from proxy.rules.explain import explain
from proxy.rules.question import Question
from proxy.rules.request import RequestView
from proxy.rules.table import Table


def explain_question(config: Config, table: Table, question: Question) -> dict[str, Any]:
    """The document of `strangler explain --json`; nothing is sent.

    Args:
        config: The whole table.
        table: The compiled rules of the question's listener.

    Raises:
        GatewayError: The gateway would answer by itself, whatever the rules say.
    """
    attributes = config.attributes
    view = _received(question.view(), attributes)
    forwarded_host = host_to_target(view, attributes)
    document = explain(question.listener, table, view, forwarded_host=forwarded_host)
    forwarded = document["forwarded"]
    if forwarded is not None:
        # For what it raises: this, and not a rule, is what refuses too many addresses.
        forwarded_for(view.header_values(b"x-forwarded-for"), view.peer, 0, attributes)
        forwarded["target"] = target_in_origin_form(forwarded["target"].encode()).decode()
    return document


def _received(asked: RequestView, attributes: LoadBalancerAttributes) -> RequestView:
    """The request as the listener would let it pass to the rules; raises ClientError where it would not.

    A question may leave Host out; HTTP/1.0 may, too.
    """
    minor = 1 if b"host" in asked.fields else 0
    raw = b"%s %s HTTP/1.%d\r\n%s\r\n" % (asked.method, asked.target, minor, join_fields(asked.headers))
    head = mitigate(raw, attributes).head
    return RequestView(head.method, head.target, head.headers, head.fields, asked.peer, asked.scheme, asked.port)
