"""What becomes of a request that somebody asks about: the rules' answer, with what a target would get."""

from __future__ import annotations

from typing import Any

from proxy.config.model import Config
from proxy.forward.headers import host_to_target
from proxy.rules.explain import explain
from proxy.rules.question import Question
from proxy.rules.table import Table


def explain_question(config: Config, table: Table, question: Question) -> dict[str, Any]:
    """The document of `strangler explain --json`; nothing is sent.

    Args:
        config: The whole table.
        table: The compiled rules of the question's listener.

    Raises:
        GatewayError: The gateway would answer by itself, whatever the rules say.
    """
    view = question.view()
    forwarded_host = host_to_target(view, config.attributes)
    return explain(question.listener, table, view, forwarded_host=forwarded_host)
