"""What becomes of a request: who asks, which rule takes it, what its action is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from proxy.auth.outcome import UNTOUCHED, Later, Outcome, Passed
from proxy.config.model import LoadBalancerAttributes
from proxy.errors import GatewayError, ProtocolVersionError
from proxy.exchange.forwarding import Forwarding
from proxy.forward.headers import ForwardedLines, forwarded_lines, request_head_to_target
from proxy.http1.head import CHUNKED, join_fields
from proxy.http2.grpc import is_grpc, may_forward
from proxy.rules.actions import Decision, Forward, Reply
from proxy.rules.compiled import Authenticate, CompiledRule
from proxy.rules.request import RequestView
from proxy.rules.transforms import rewritten_host, rewritten_target, transformed
from proxy.stickiness import StickyRequest
from proxy.targets.group import TargetGroup


class RequestExchange(Forwarding):
    """One request and its response; the record of it as well."""

    __slots__ = ()

    def run(self, body: bytes, complete: bool) -> None:
        """Decide and carry out; `body` is what came with the head, framed as on the wire."""
        self._request_complete = complete
        self._busy_since = self.received_at
        self.request_bytes += len(body)
        view = self._view
        try:
            rule = self._listener.table.evaluate(view)
            self.rule = rule.name
            self.priority = rule.priority
            if rule.authenticate is not None:
                self._authenticate(rule, rule.authenticate, body)
            else:
                self._carry_out(rule, view, body)
        except GatewayError as error:
            self._fail(error)

    def _authenticate(self, rule: CompiledRule, authenticate: Authenticate, body: bytes) -> None:
        """Make sure of who asks; a question to an identity provider is a task, while which the client is not read."""
        self._series = self._listener.series(rule, "")
        self.authenticated = authenticate.config is not None
        outcome = self._gateway.authentication.begin(authenticate, self._view)
        if isinstance(outcome, Passed | Reply):
            self._authenticated(rule, outcome, body)
            return
        self._outgoing = [body]
        if not self._request_complete:
            self._client.pause()
        self._task = asyncio.get_running_loop().create_task(self._authenticate_later(rule, outcome))
        self._now_waits(time.perf_counter())

    async def _authenticate_later(self, rule: CompiledRule, later: Later) -> None:
        try:
            outcome = await later()
        except GatewayError as error:
            self._task = None
            self._fail(error)
            return
        self._busy_since = time.perf_counter()
        self._task = None
        body = b"".join(self._outgoing)
        self._outgoing = []
        self._client.resume()
        try:
            self._authenticated(rule, outcome, body)
        except GatewayError as error:
            self._fail(error)

    def _authenticated(self, rule: CompiledRule, outcome: Outcome, body: bytes) -> None:
        """Answer, or go on with what the target is to know."""
        if isinstance(outcome, Reply):
            self.authenticated = True
            self.redirect_url = outcome.location
            self._answer(outcome.status, outcome.headers, outcome.body)
            return
        view = self._view
        if outcome is not UNTOUCHED:
            self._added_cookies = outcome.set_cookies
            self._sets_cookies = bool(outcome.set_cookies)
            view = outcome.apply(view)
            self._block = join_fields(view.headers)
        self._carry_out(rule, view, body)

    def _carry_out(self, rule: CompiledRule, view: RequestView, body: bytes) -> None:
        """Transforms and routing action of the rule that took the request."""
        listener = self._listener
        attributes = listener.attributes
        if rule.transforms:
            self._series = listener.series(rule, "")
            view, attributes = self._transform(rule, view)
        route = rule.route
        if route is None:
            self.action = rule.action.name
            self._series = listener.series(rule, "")
            action = rule.action
            decision: Decision
            if isinstance(action, Forward) and action.stickiness is not None:
                decision = self._sticky_request().route(action, self._gateway.draw)
            else:
                decision = action.decide(view, self._gateway.draw)
            if isinstance(decision, Reply):
                self.redirect_url = decision.location
                self._answer(decision.status, decision.headers, decision.body)
                return
            route = decision
        name = route.target_group
        self.target_group = name
        self._series = listener.known_series.get((rule.index, name)) or listener.series(rule, name)
        group = self._group = self._runtime.groups[name]
        if self.protocol != group.expects:
            self._check_protocol(group)
        client = self._client
        forwarded = client.memo
        if type(forwarded) is not ForwardedLines or forwarded.attributes is not attributes:
            renamed = listener.config.attributes.renamed_headers
            forwarded = client.memo = forwarded_lines(
                client.peer, client.client_port, view.scheme, view.port, attributes, client.tls, renamed
            )
        head, self.trace_id = request_head_to_target(
            view,
            self._block,
            forwarded,
            upgrade=self._upgrade,
            chunked=self._length == CHUNKED,
            ambiguous=self._ambiguous,
            fallback_host=client.local_host,
        )
        spans = self._gateway.spans
        if spans is not None and spans.rewrites:
            head, self.trace_id = spans.continued(view, head, self.trace_id)
        target = group.pick() if group.stickiness is None else self._sticky_request().pick(group)
        self._send(target, head + body if body else head)

    def _check_protocol(self, group: TargetGroup) -> None:
        """The table of alb.md 5.1; raise ProtocolVersionError where it says 464."""
        version = group.config.protocol_version
        if not may_forward(self.protocol, version, self.method, is_grpc=is_grpc(self._view.fields)):
            raise ProtocolVersionError(f"{group.name} speaks {version}, the client does not")

    def _sticky_request(self) -> StickyRequest:
        if self._sticky is None:
            self._sets_cookies = True
            self._sticky = StickyRequest(self._view, self._gateway.sealer, time.time())
        return self._sticky

    def _transform(self, rule: CompiledRule, before: RequestView) -> tuple[RequestView, LoadBalancerAttributes]:
        """The request as the rule's transforms leave it, and the attributes under which it goes to a target.

        `view` stays what the rules saw. A rewritten Host goes as it stands, as a preserved one does (alb.md 6.3).
        """
        view = transformed(before, rule.transforms)
        attributes = self._listener.attributes
        target = rewritten_target(before, view)
        if target is not None:
            self.transformed_uri = target
        host = rewritten_host(before, view)
        if host is not None:
            self.transformed_host = host
            self._block = join_fields(view.headers)
            attributes = replace(attributes, preserve_host_header=True)
        return view, attributes
