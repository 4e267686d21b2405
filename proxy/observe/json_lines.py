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
HOST_LIMIT: Final = 8192
USUAL_MICROSECONDS: Final = 4096
"""Durations under this many are not made into text again."""

_quote = json.encoder.encode_basestring_ascii
_THREE_DIGITS: Final[list[str]] = [f"{number:03d}" for number in range(1000)]
_NEW_ROOT_BYTES: Final = len("Root=1-12345678-123456781234567812345678")
_Ending = tuple[bytes, int, int, str, str, int | None, str, str]


class JsonLines:
    """One JSON object a line, ASCII only.

    What clients sent is bytes of no known encoding: each byte stands as the character of the same number,
    escaped where JSON or a terminal needs it, so `value.encode("latin-1")` gives back what was received.
    Durations are in seconds with a microsecond's precision. What never happened is null, not -1: it must not
    spoil an average. `client` is the address of the peer, never X-Forwarded-For.
    """

    __slots__ = ("_clients", "_outcomes", "_quoted", "_second", "_second_text", "_usual")

    def __init__(self) -> None:
        self._second = -1
        self._second_text = ""
        self._clients: dict[str, str] = {}
        self._quoted: dict[bytes, str] = {}
        self._outcomes: dict[_Ending, str] = {}
        self._usual: list[str] = [f"{number / 1e6:.6f}" for number in range(USUAL_MICROSECONDS)]

    def line(self, record: RequestRecord) -> str:
        """The record as a line, without its end."""
        view = record.view
        if view is None:
            client, host, target, user_agent = record.client, b"", b"", b""
            traces = ',"trace_id":null,"amzn_trace_id":null'
        else:
            client, host, target = view.peer, view.host_port, view.target
            user_agent = view.fields.get(b"user-agent", b"")
            traces = _traces(record)
        started_at = record.started_at
        second = int(started_at)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        micros = int((started_at - second) * 1e6)
        sent_at, head_at, received_at, ended_at = record.sent_at, record.head_at, record.received_at, record.ended_at
        request_processing = target_processing = response_processing = "null"
        if sent_at:
            request_processing = self._seconds(sent_at - received_at)
        if head_at:
            # A target may answer before it has the whole request.
            target_processing = self._seconds(head_at - sent_at if sent_at else 0.0)
            response_processing = self._seconds(ended_at - head_at)
        end = ',"reason":null,"tunnel":false}'
        reason = record.reason or record.remark
        if reason or record.tunnel:
            end = f',"reason":{_text(reason)},"tunnel":{"true" if record.tunnel else "false"}}}'
        port = str(record.client_port) if record.client_port else "null"
        return (
            f'{{"time":"{self._second_text}.{_THREE_DIGITS[micros // 1000]}{_THREE_DIGITS[micros % 1000]}Z"'
            f',"client":{self._client(client)}'
            f',"client_port":{port}'
            f',"method":{self._kept(record.method, METHOD_LIMIT)}'
            f',"host":{self._kept(host, HOST_LIMIT)}'
            f',"target":{_bytes(target)}'
            f"{self._outcome(record)}"
            f',"request_processing":{request_processing}'
            f',"target_processing":{target_processing}'
            f',"response_processing":{response_processing}'
            f',"total":{self._seconds(ended_at - received_at)}'
            f',"overhead":{self._seconds(record.overhead)}'
            f',"request_bytes":{record.request_bytes}'
            f',"response_bytes":{record.response_bytes}'
            f',"user_agent":{self._kept(user_agent, USER_AGENT_LIMIT)}'
            f"{traces}{end}"
        )

    def _seconds(self, value: float) -> str:
        """With six digits. A clock's small step back is 0."""
        micros = int(value * 1e6 + 0.5) if value > 0.0 else 0
        return self._usual[micros] if micros < USUAL_MICROSECONDS else f"{value:.6f}"

    def _client(self, address: str) -> str:
        text = self._clients.get(address)
        if text is None:
            if len(self._clients) >= KEPT_TEXTS:
                self._clients.clear()
            text = self._clients[address] = _text(address)
        return text

    def _kept(self, value: bytes, limit: int) -> str:
        """A value that is likely to come again, cut to so many bytes."""
        text = self._quoted.get(value)
        if text is None:
            text = _bytes(value[:limit])
            if len(value) <= KEPT_TEXT_BYTES:
                if len(self._quoted) >= KEPT_TEXTS:
                    self._quoted.clear()
                self._quoted[value] = text
        return text

    def _outcome(self, record: RequestRecord) -> str:
        """From the protocol to the target: what many requests have in common."""
        key: _Ending = (
            record.protocol,
            record.status,
            record.target_status,
            record.listener,
            record.rule,
            record.priority,
            record.target_group,
            record.target_id,
        )
        text = self._outcomes.get(key)
        if text is None:
            text = (
                f',"protocol":{_bytes(record.protocol[:METHOD_LIMIT])}'
                f',"status":{record.status or "null"}'
                f',"target_status":{record.target_status or "null"}'
                f',"listener":{_text(record.listener)}'
                f',"rule":{_text(record.rule)}'
                f',"priority":{"null" if record.priority is None else record.priority}'
                f',"target_group":{_text(record.target_group)}'
                f',"target_id":{_text(record.target_id)}'
            )
            if len(record.protocol) <= METHOD_LIMIT:
                if len(self._outcomes) >= KEPT_TEXTS:
                    self._outcomes.clear()
                self._outcomes[key] = text
        return text


def _traces(record: RequestRecord) -> str:
    """The trace as OpenTelemetry writes it and as it went to the target; the gateway's own are not taken apart."""
    view = record.view
    assert view is not None
    named = record.trace_id
    if len(named) == _NEW_ROOT_BYTES and b"traceparent" not in view.fields and b"x-amzn-trace-id" not in view.fields:
        text = named.decode("latin-1")
        return f',"trace_id":"{text[7:15]}{text[16:]}","amzn_trace_id":"{text}"'
    trace = context_of(view, named)
    return f',"trace_id":{_text("" if trace is None else trace.trace_id)},"amzn_trace_id":{_bytes(named)}'


def _text(value: str) -> str:
    return _quote(value) if value else "null"


def _bytes(value: bytes) -> str:
    return _quote(value.decode("latin-1")) if value else "null"
