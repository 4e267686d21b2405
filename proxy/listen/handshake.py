"""One client's TLS handshake, whichever library makes it: timed, its failure told to listener, client and log."""

from __future__ import annotations

import ssl
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from proxy.listen.sni import DEFAULT, Selection
from proxy.tls import SESSION_REUSED, ClientCertificate, MutualMode, TlsSession


class ListenerTls(Protocol):
    """A listener's context, as its handshakes see it.

    Attributes:
        arns: What the access log calls its certificates, in their order.
        mutual: How it treats client certificates.
    """

    arns: tuple[str, ...]
    mutual: MutualMode

    def on_failure(self) -> None:
        """Count a handshake that failed."""


class Handshake:
    """Goes before the class that makes the handshake in `step`; has what event loops call, and what came of it."""

    began_at = 0.0
    seconds = 0.0
    is_done = False
    server_name = ""
    selection: Selection = DEFAULT
    failure: ssl.SSLError | None = None
    listener: ListenerTls
    outgoing: ssl.MemoryBIO

    def prepare(self, listener: ListenerTls, outgoing: ssl.MemoryBIO) -> None:
        """Say whose it is, before its first step."""
        self.listener = listener
        self.outgoing = outgoing
        accepted = ACCEPTED.get()
        if accepted is not None:
            accepted.handshake = self

    def do_handshake(self) -> None:
        """Go on with what has come in; raise ssl.SSLWantReadError while that is not all, ssl.SSLError if it failed."""
        if self.failure is not None:
            raise self.failure
        if not self.began_at:
            self.began_at = time.perf_counter()
        try:
            self.step()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.failure = error
            self.listener.on_failure()
            if not self.outgoing.pending:
                raise
            # Event loops close at an error without sending the alert, and the client would not learn what is wrong.
            # This has them send it; the client closes then, or the time for the handshake ends.
            raise ssl.SSLWantReadError from None
        self.seconds = time.perf_counter() - self.began_at
        self.is_done = True

    def step(self) -> None:
        """The library's own `do_handshake`."""
        raise NotImplementedError

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol and bits; None before there is one."""
        raise NotImplementedError

    def version(self) -> str | None:
        """Of the protocol, in OpenSSL's spelling; None before there is one."""
        raise NotImplementedError

    def is_resumed(self) -> bool:
        """Whether it goes on with the session of an earlier connection."""
        return False

    def client_chain(self) -> tuple[bytes, ...]:
        """The certificates that the client sent, its own first, as DER."""
        return ()

    def outcome(self) -> TlsSession:
        """What is known when it has ended, well or not."""
        cipher = self.cipher()
        name = cipher[0] if cipher else ""
        chain = self.client_chain() if self.is_done else ()
        mutual = self.listener.mutual
        return TlsSession(
            version=self.version() or "",
            cipher=name,
            server_name=self.server_name,
            certificate=SESSION_REUSED if self.is_resumed() else self.listener.arns[self._presented(name)],
            handshake_seconds=self.seconds,
            mutual=mutual,
            client_certificate=ClientCertificate(chain[0]) if chain else None,
            chain=chain if mutual == "passthrough" else (),
            failure="" if self.is_done else failure_reason(self.failure),
        )

    def _presented(self, cipher: str) -> int:
        """Which certificate a client got when there were ECDSA and RSA for it.

        Up to TLS 1.2 the cipher tells; every client of TLS 1.3 knows ECDSA (RFC 8446 9.1).
        """
        best, *others = self.selection
        is_rsa = not cipher.startswith("TLS_") and "ECDSA" not in cipher
        return others[0] if others and is_rsa else best


@dataclass(slots=True)
class Accepted:
    """A connection whose handshake is to come; it is here as soon as it begins."""

    handshake: Handshake | None = None


ACCEPTED: Final[ContextVar[Accepted | None]] = ContextVar("ACCEPTED", default=None)
"""Whom a handshake belongs to: event loops do not tell a context which connection it makes one for."""


UNMAPPED: Final = "UnmappedConnectionError"
"""Every failure that has nothing to do with a client's certificate."""
_OF_VERIFICATION: Final = {
    2: "ClientCertUntrusted",
    9: "ClientCertNotYetValid",
    10: "ClientCertExpired",
    18: "ClientCertUntrusted",
    19: "ClientCertUntrusted",
    20: "ClientCertUntrusted",
    21: "ClientCertUntrusted",
    22: "ClientCertMaxChainDepthExceeded",
    23: "ClientCertCrlHit",
    24: "ClientCertUntrusted",
    25: "ClientCertMaxChainDepthExceeded",
    26: "ClientCertPurposeInvalid",
    27: "ClientCertUntrusted",
    28: "ClientCertRejected",
    66: "ClientCertIncompatible",
    67: "ClientCertIncompatible",
    68: "ClientCertIncompatible",
}
"""OpenSSL's X509_V_ERR_* as the codes of the load balancer's connection log; any other is ClientCertInvalid."""
_OF_HANDSHAKE: Final = {
    "EXCESSIVE_MESSAGE_SIZE": "ClientCertMaxSizeExceeded",
    "UNKNOWN_CERTIFICATE_TYPE": "ClientCertTypeUnsupported",
    "WRONG_CERTIFICATE_TYPE": "ClientCertTypeUnsupported",
}


def failure_reason(error: ssl.SSLError | None) -> str:
    """Why a handshake failed, in the words of the load balancer's connection log (user guide, connection logs).

    Args:
        error: None when the client went away, or took too long.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_VERIFICATION.get(error.verify_code, "ClientCertInvalid")
    reason = getattr(error, "reason", None) or ""
    return _OF_HANDSHAKE.get(reason, UNMAPPED)
