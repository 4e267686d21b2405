"""The access log's own format: one JSON object a line.

Most of a line says what lines before it said, so what came before is looked up and not made again. What is kept for
that is bounded, whatever clients send.
"""

from __future__ import annotations

import json
import time
from typing import Final

from proxy.observe.record import METHOD_LIMIT, USER_AGENT_LIMIT, RequestRecord
from proxy.observe.request_spans import context_of

KEPT_TEXTS: Final = 4096
KEPT_TEXT_BYTES: Final = 256
"""Longest value that is kept in its quoted form."""

_THREE_DIGITS: Final[list[str]] = [f"{number:03d}" for number in range(1000)]
_quote = json.encoder.encode_basestring_ascii


class JsonLines:
    """One JSON object a line, ASCII only.

    What clients sent is bytes of no known encoding: each byte stands as the character of the same number,
    escaped where JSON or a terminal needs it, so `value.encode("latin-1")` gives back what was received.
    Durations are in seconds with a microsecond's precision. What never happened is null, not -1: it must not
    spoil an average. `client` is the address of the peer, never X-Forwarded-For.
    """

    __slots__ = ("_quoted", "_routes", "_second", "_second_text")

    def __init__(self) -> None:
        self._second = -1
        self._second_text = ""
        self._quoted: dict[bytes, str] = {}
        self._routes: dict[tuple[str, str, int | None, str, str], str] = {}

    def line(self, record: RequestRecord) -> str:
        """The record as a line, without its end."""
        view = record.view
        if view is None:
            client, host, target, user_agent = record.client, b"", b"", b""
            trace_id = "null"
        else:
            client, host, target = view.peer, view.host_port, view.target
            user_agent = view.fields.get(b"user-agent", b"")
            if len(user_agent) > USER_AGENT_LIMIT:
                user_agent = user_agent[:USER_AGENT_LIMIT]
            trace_id = _trace_id(record)
        started_at = record.started_at
        second = int(started_at)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        micros = int((started_at - second) * 1e6)
        sent_at, head_at, received_at, ended_at = record.sent_at, record.head_at, record.received_at, record.ended_at
        request_processing = target_processing = response_processing = "null"
        if sent_at:
            request_processing = _seconds(sent_at - received_at)
        if head_at:
            # A target may answer before it has the whole request.
            target_processing = _seconds(head_at - sent_at if sent_at else 0.0)
            response_processing = _seconds(ended_at - head_at)
        reason = record.reason or record.remark
        return (
            f'{{"time":"{self._second_text}.{_THREE_DIGITS[micros // 1000]}{_THREE_DIGITS[micros % 1000]}Z"'
            f',"client":{_quote(client) if client else "null"}'
            f',"client_port":{record.client_port or "null"}'
            f',"method":{self._kept(record.method[:METHOD_LIMIT])}'
            f',"host":{self._kept(host)}'
            f',"target":{_bytes(target)}'
            f',"protocol":{self._kept(record.protocol[:METHOD_LIMIT])}'
            f',"status":{record.status or "null"}'
            f',"target_status":{record.target_status or "null"}'
            f"{self._route(record)}"
            f',"request_processing":{request_processing}'
            f',"target_processing":{target_processing}'
            f',"response_processing":{response_processing}'
            f',"total":{_seconds(ended_at - received_at)}'
            f',"overhead":{_seconds(record.overhead)}'
            f',"request_bytes":{record.request_bytes}'
            f',"response_bytes":{record.response_bytes}'
            f',"user_agent":{self._kept(user_agent)}'
            f',"trace_id":{trace_id}'
            f',"amzn_trace_id":{_bytes(record.trace_id)}'
            f',"reason":{_quote(reason) if reason else "null"}'
            f',"tunnel":{"true" if record.tunnel else "false"}}}'
        )

    def _kept(self, value: bytes) -> str:
        """A value that is likely to come again."""
        text = self._quoted.get(value)
        if text is None:
            text = _bytes(value)
            if len(value) <= KEPT_TEXT_BYTES:
                if len(self._quoted) >= KEPT_TEXTS:
                    self._quoted.clear()
                self._quoted[value] = text
        return text

    def _route(self, record: RequestRecord) -> str:
        """From listener to target."""
        key = (record.listener, record.rule, record.priority, record.target_group, record.target_id)
        text = self._routes.get(key)
        if text is None:
            if len(self._routes) >= KEPT_TEXTS:
                self._routes.clear()
            text = self._routes[key] = (
                f',"listener":{_text(record.listener)}'
                f',"rule":{_text(record.rule)}'
                f',"priority":{"null" if record.priority is None else record.priority}'
                f',"target_group":{_text(record.target_group)}'
                f',"target_id":{_text(record.target_id)}'
            )
        return text


def _trace_id(record: RequestRecord) -> str:
    """The trace as OpenTelemetry writes it; of what the gateway named itself without taking it apart."""
    view = record.view
    assert view is not None
    named = record.trace_id
    if b"traceparent" not in view.fields and b"x-amzn-trace-id" not in view.fields:
        if not named:
            return "null"
        if len(named) == _NEW_ROOT_BYTES:
            return f'"{named[7:15].decode()}{named[16:].decode()}"'
    trace = context_of(view, named)
    return "null" if trace is None or not trace.trace_id else _quote(trace.trace_id)


_NEW_ROOT_BYTES: Final = len("Root=1-12345678-123456781234567812345678")


def _text(value: str) -> str:
    return _quote(value) if value else "null"


def _bytes(value: bytes) -> str:
    return _quote(value.decode("latin-1")) if value else "null"


def _seconds(value: float) -> str:
    """With six digits; the usual ones are put together from parts. A clock's small step back is 0."""
    micros = int(value * 1e6 + 0.5) if value > 0.0 else 0
    if micros >= 1_000_000:
        return f"{value:.6f}"
    return f"0.{_THREE_DIGITS[micros // 1000]}{_THREE_DIGITS[micros % 1000]}"
