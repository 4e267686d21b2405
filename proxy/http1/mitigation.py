"""Desync mitigation: what becomes of a request head that is not plainly Compliant (alb.md 6.4, 6.8).

mode        Acceptable   Ambiguous                          Severe
monitor     passes       passes                             400
defensive   passes       passes, connections close after    400
strictest   400          400                                400
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.config.model import LoadBalancerAttributes
from proxy.errors import BadRequestError, ClientError, HttpVersionError, TransferEncodingError
from proxy.http1.desync import Severity, classify, is_valid_name
from proxy.http1.head import (
    RequestHead,
    check_line_lengths,
    check_request,
    is_request_target,
    join_fields,
    request_body_length,
)

_ANY_VERSION: Final = re.compile(rb"[^\n]* HTTP/\d\.\d\r?\n")
_NOT_IN_HOST: Final = re.compile(rb"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Mitigated:
    """A request head that may pass.

    Attributes:
        head: In the form that goes on.
        length: Of its body, see `request_body_length`.
        severity, reason: Its class.
        plain_framing: Whether its framing headers must be made plain, and no request may follow it to its target.
        closes: Whether the client's connection closes after it.
        forwarded_names, dropped_names: Whether it had header names outside letters, digits and hyphens that go on, or
            that do not.
    """

    head: RequestHead
    length: int
    severity: Severity
    reason: str
    plain_framing: bool
    closes: bool
    forwarded_names: bool
    dropped_names: bool


def mitigate(raw: bytes, attributes: LoadBalancerAttributes) -> Mitigated:
    """Judge a request head, as received and with its empty line, by the load balancer's attributes.

    What passes in mode `monitor` is still framed plainly towards the target, and Severe requests do not pass there
    either: none of them has a form that all targets read in the same way.

    Raises:
        ClientError: The request does not pass: 400, 414, 405 (TRACE, CONNECT), 501 (a transfer coding), or 505 (a
            version). Its `classification` and `classification_reason` are set.
    """
    found = classify(raw)
    try:
        check_line_lengths(raw, b"\n" if found.reason == "NonCrLfLineTermination" else b"\r\n")
        if found.severity is Severity.SEVERE:
            raise _refusal(found.reason, raw)
        if found.request is None:
            raise BadRequestError("the request line has no target")
        if found.severity and attributes.desync_mitigation_mode == "strictest":
            raise BadRequestError(f"the request is {found.severity.label}: {found.reason}")
        head, forwarded_names, dropped_names = _named_validly(found.request, raw, attributes)
        check_request(head.method, head.minor, head.fields)
        if not is_request_target(head.target):
            raise BadRequestError("the request target is neither a path nor a URL")
        if any(name.lower() == b"host" and _NOT_IN_HOST.search(value) for name, value in head.headers):
            raise BadRequestError("the Host header holds a byte that no host name has")
        length = request_body_length(head)
    except ClientError as error:
        if found.severity:
            error.classification = found.severity.label
            error.classification_reason = found.reason
        raise
    is_ambiguous = found.severity is Severity.AMBIGUOUS
    has_other_coding = head.fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked"
    # Whether LF alone ends a line, and so a head, is a matter of opinion.
    ends_with_lf = found.reason == "NonCrLfLineTermination"
    return Mitigated(
        head=head,
        length=length,
        severity=found.severity,
        reason=found.reason,
        plain_framing=is_ambiguous or has_other_coding or ends_with_lf,
        closes=_closes(is_ambiguous, attributes) or has_other_coding or ends_with_lf,
        forwarded_names=forwarded_names,
        dropped_names=dropped_names,
    )


def _closes(is_ambiguous: bool, attributes: LoadBalancerAttributes) -> bool:
    return is_ambiguous and attributes.desync_mitigation_mode == "defensive"


def _named_validly(head: RequestHead, raw: bytes, attributes: LoadBalancerAttributes) -> tuple[RequestHead, bool, bool]:
    """The head without the names that must go, and whether invalid names go on and whether some were dropped."""
    invalid = [name for name, _ in head.headers if not is_valid_name(name)]
    lost = sum(b":" in line for line in raw.split(b"\n")[1:]) > len(head.headers)
    if not invalid or not attributes.drop_invalid_header_fields:
        return head, bool(invalid), lost
    block = join_fields([field for field in head.headers if is_valid_name(field[0])])
    return RequestHead.of(head.method, head.target, head.minor, block), False, True


def _refusal(reason: str, raw: bytes) -> ClientError:
    if reason == "BadTransferEncoding":
        return TransferEncodingError("Transfer-Encoding is not supported")
    if reason == "BadVersion" and _ANY_VERSION.match(raw) is not None:
        return HttpVersionError("the HTTP version is not supported")
    return BadRequestError(f"the request is malformed: {reason}")
