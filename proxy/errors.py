"""The error tree: whose fault it is, how far the request got, and what the client sees.

    GatewayError
    +-- ClientError            the client's fault; no target was asked
    |   +-- BadRequestError        400  malformed or dangerous request
    |   +-- MethodNotAllowedError  405  TRACE
    |   +-- RequestTimeoutError    408  the client went silent in the middle of a request
    |   +-- UriTooLongError        414  the request line is over 16 K
    |   +-- ClientClosedError      460  the client left before the response (never sent, only recorded)
    |   +-- TooManyForwardedError  463  more than 30 addresses in X-Forwarded-For
    |   +-- ProtocolVersionError   464  the target group does not speak the client's protocol version
    |   +-- TransferEncodingError  501  a transfer coding other than chunked or identity
    |   +-- HttpVersionError       505  a version that is not HTTP/1.x
    +-- AuthenticationError    401  who asks could not be made sure of; the reason is that of alb.md 9.3
    |   +-- LoginFailedError       401  by the user's or the browser's fault, or an answer of the provider that is none
    |   +-- LoginError             500  the identity provider is out of reach, or too slow
    |   +-- ClaimsTooLargeError    500  access token and claims are over 11 K
    |   +-- LoginRefusedError      561  the identity provider answered with an error
    |   +-- TokenRejectedError     401  jwt-validation: no token, or one that is not good
    |   +-- KeysUnavailableError   562  jwt-validation: the keys cannot be had
    +-- TransformError         500  a transform of the rule gives what no request can have
    +-- RedirectTooLongError   507  a Location over 8 K
    +-- NoTargetError          503  the target group has no target to ask
    +-- TargetError            502  the target failed before its response began
        +-- TargetConnectError     502  the connection was refused or reset
        +-- TargetConnectTimeout   504  no connection within 10 s
        +-- TargetClosedError      502  the target closed or reset with a request outstanding
        +-- TargetResponseError    502  the response is malformed or its headers are over 32 K
        +-- TargetTimeoutError     504  no response within the idle timeout
        +-- IntegrationError       502  a function or a service did not do its part, or its answer is none

Statuses are those the load balancer gives for the same cause (alb.md 8).
"""

from __future__ import annotations


class GatewayError(Exception):
    """Why the gateway answers a request itself.

    Attributes:
        status: What the client sees.
        reason: A bounded label.
        answer: Headers and body where they are not those of the load balancer's page.
    """

    status: int = 500
    reason: str = "Gateway.InternalError"
    answer: tuple[tuple[tuple[bytes, bytes], ...], bytes] | None = None


class ClientError(GatewayError):
    """The request itself is at fault; no target was asked.

    Attributes:
        classification, classification_reason: By desync mitigation, as in the access log; empty for Compliant.
    """

    status = 400
    reason = "Client.BadRequest"
    classification: str = ""
    classification_reason: str = ""


class BadRequestError(ClientError):
    """The request is malformed, over a header limit, or dangerous to pass on."""


class MethodNotAllowedError(ClientError):
    """TRACE is answered by the load balancer itself (alb.md 6.5)."""

    status = 405
    reason = "Client.MethodNotAllowed"


class RequestTimeoutError(ClientError):
    """The client went silent before its request was complete, for the idle timeout (alb.md 6.6)."""

    status = 408
    reason = "Client.Timeout"


class UriTooLongError(ClientError):
    """The request line is longer than 16 K (alb.md 1.4, 8)."""

    status = 414
    reason = "Client.UriTooLong"


class ClientClosedError(ClientError):
    """The client closed before the target answered; 460 is recorded and cannot be sent (alb.md 8)."""

    status = 460
    reason = "Client.Closed"


class TooManyForwardedError(ClientError):
    """X-Forwarded-For already names more than 30 addresses (alb.md 6.1)."""

    status = 463
    reason = "Client.TooManyForwardedFor"


class ProtocolVersionError(ClientError):
    """The client's protocol and the protocol version of the target group do not go together (alb.md 5.1)."""

    status = 464
    reason = "Client.ProtocolVersion"


class TransferEncodingError(ClientError):
    """Transfer-Encoding is neither chunked nor identity (alb.md 6.5)."""

    status = 501
    reason = "Client.TransferEncoding"


class HttpVersionError(ClientError):
    """The version in the request line is not one of HTTP/1 (alb.md 6.5)."""

    status = 505
    reason = "Client.HttpVersion"


class AuthenticationError(GatewayError):
    """The rule asks who is there, and the answer is not good enough.

    Args:
        reason: The word for the log's error_reason (alb.md 9.3).
    """

    status = 401

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class LoginFailedError(AuthenticationError):
    """The login cannot be completed, or the rule denies those without one (alb.md 3.4, 8)."""


class LoginError(AuthenticationError):
    """The token or user info endpoint is unreachable or slower than 5 s (alb.md 8)."""

    status = 500


class ClaimsTooLargeError(AuthenticationError):
    """Access token and user claims are over 11 K together (alb.md 3.4, 14.9)."""

    status = 500


class LoginRefusedError(AuthenticationError):
    """The identity provider answered with an error code (alb.md 8)."""

    status = 561


class TokenRejectedError(AuthenticationError):
    """`jwt-validation`: the token is not there or not good (alb.md 3.5, 8)."""


class KeysUnavailableError(AuthenticationError):
    """`jwt-validation`: the JWKS request failed (alb.md 3.5, 8)."""

    status = 562


class TransformError(GatewayError):
    """A transform matched, and what it gives cannot stand in a request (alb.md 4.2, 8)."""

    reason = "Transform.Failed"


class RedirectTooLongError(GatewayError):
    """The Location of a redirect came out longer than 8 K (alb.md 3.2)."""

    status = 507
    reason = "Redirect.TooLong"


class NoTargetError(GatewayError):
    """The target group has no registered target, or every weight of the forward is 0 (alb.md 5.8, 14.6)."""

    status = 503
    reason = "Target.None"


class TargetError(GatewayError):
    """The chosen target failed before its response began.

    `sent` is False only when no byte of the request can have reached the target. The gateway repeats a
    request on that ground, or when the method is idempotent and the connection was a reused one.
    """

    status = 502
    reason = "Target.Failed"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class TargetConnectError(TargetError):
    """The target refused or reset the connection (alb.md 8: RST or ICMP error while connecting)."""

    reason = "Target.ConnectionRefused"


class OutOfFilesError(TargetConnectError):
    """This process may open no more files, so there was nothing to connect with: it is short of capacity itself."""

    status = 503
    reason = "Gateway.TooManyOpenFiles"


class TargetTlsError(TargetConnectError):
    """The target accepted, and the TLS handshake with it failed."""


class TargetConnectTimeout(TargetError):
    """The target did not accept within 10 s (alb.md 6.6)."""

    status = 504
    reason = "Target.ConnectTimeout"


class TargetClosedError(TargetError):
    """The target closed or reset the connection while the request was outstanding (alb.md 8)."""

    reason = "Target.ConnectionClosed"


class TargetResponseError(TargetError):
    """The target's response is malformed or its headers are over 32 K (alb.md 8)."""

    reason = "Target.MalformedResponse"


class TargetTimeoutError(TargetError):
    """The target sent nothing for the idle timeout (alb.md 6.6)."""

    status = 504
    reason = "Target.Timeout"


class IntegrationError(TargetError):
    """A function or a service that takes the request in place of a target did not do its part (alb.md 7).

    Args:
        reason: The word for the log's error_reason (alb.md 9.3).
        status: What the client sees; 502 for whatever is the function's own fault.
    """

    def __init__(self, reason: str, detail: str, *, status: int = 502) -> None:
        super().__init__(detail, sent=True)
        self.reason = reason
        self.status = status
