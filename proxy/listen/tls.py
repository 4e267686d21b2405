"""TLS of an HTTPS listener: which certificate a client gets, under which policy, and what came of the handshake.

    choose, selections     pure: server name -> certificates
    tls_context            a listener's contexts, ready for `loop.create_server(ssl=...)`
    session_of             what headers and logs tell of a connection

Contexts never change once they are made. A reload makes new ones, so session tickets are those of one table: nobody
resumes a session that another trust store or policy allowed.
"""

from __future__ import annotations

import logging
import ssl
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from proxy.config.model import CertificateFacts, ListenerConfig
from proxy.config.ssl_policies import SSL_POLICIES, SslPolicy
from proxy.tls import SESSION_REUSED, ClientCertificate, TlsSession, certificate_arn

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take for its handshake."""
CLOSE_SECONDS: Final = 5.0
"""How long a client may take to answer a closing connection."""
ALPN_PROTOCOLS: Final = ("h2", "http/1.1")
"""What the listener door speaks, most wanted first; the first only while `routing.http2.enabled`."""

_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

Context = TypeVar("Context", bound=ssl.SSLContext)
Selection = tuple[int, ...]
"""Indices of the certificates to offer: the best one, and if there is one the best of the other kind of key, for
clients that do not know the first kind."""
DEFAULT: Final[Selection] = (0,)


class TlsError(Exception):
    """A listener's TLS cannot be set up as it is written."""


# Which certificate


def choose(server_name: str, certificates: Sequence[CertificateFacts]) -> Selection | None:
    """The certificates for this name (lower case), best first; None when none is for it (alb.md 1.1).

    Several are ranked ECDSA before RSA, SHA before MD5, the longest key, the longest validity, then as listed.
    """
    matching = [
        index
        for index, facts in enumerate(certificates)
        if any(name_matches(pattern, server_name) for pattern in facts.names)
    ]
    if not matching:
        return None

    def rank(index: int) -> tuple[bool, bool, int, float, int]:
        facts = certificates[index]
        return (
            facts.key_algorithm != "ECDSA",
            facts.is_signed_with_md5,
            -facts.key_bits,
            -facts.not_after.timestamp(),
            index,
        )

    ranked = sorted(matching, key=rank)
    best = ranked[0]
    others = [index for index in ranked if certificates[index].key_algorithm != certificates[best].key_algorithm]
    return (best, *others[:1])


def name_matches(pattern: str, server_name: str) -> bool:
    """Whether a name in a certificate covers a host; `*.` stands for exactly one label (RFC 6125 6.4.3)."""
    if pattern.startswith("*."):
        return server_name.partition(".")[2] == pattern[2:]
    return pattern == server_name


def selections(certificates: Sequence[CertificateFacts]) -> dict[str, Selection]:
    """`choose` for every name that can make a difference; `*.d` stands for any other host under d."""
    names = dict.fromkeys(name for facts in certificates for name in facts.names)
    chosen = {name: choose(name, certificates) for name in names}
    return {name: selection for name, selection in chosen.items() if selection is not None}


def find(server_name: str, known: Mapping[str, Selection]) -> Selection | None:
    """`choose`, by the table that `selections` made."""
    name = server_name.lower()
    return known.get(name) or known.get(f"*.{name.partition('.')[2]}")


# Contexts


class Handshake(ssl.SSLObject):
    """One connection's TLS: times its handshake, and tells listener and client when that fails."""

    began_at = 0.0
    seconds = 0.0
    server_name = ""
    selection: Selection = DEFAULT
    failure: ssl.SSLError | None = None
    listener: ListenerContext
    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        if self.failure is not None:
            raise self.failure
        if not self.began_at:
            self.began_at = time.perf_counter()
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.listener.on_failure()
            if not self.outgoing.pending:
                raise
            # Event loops close at an error without sending the alert, and the client would not learn what is wrong.
            # This has them send it; the client closes then, or the time for the handshake ends.
            self.failure = error
            raise ssl.SSLWantReadError from None
        self.seconds = time.perf_counter() - self.began_at


class ListenerContext(ssl.SSLContext):
    """A listener's context: that of its default certificate, which hands a connection on to another one by SNI."""

    sslobject_class = Handshake
    on_failure: Callable[[], None]
    arns: tuple[str, ...]
    known: Mapping[str, Selection]
    contexts: Mapping[Selection, ssl.SSLContext]

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        """What an event loop calls for each connection."""
        handshake = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(handshake, Handshake)
        handshake.listener = self
        handshake.outgoing = outgoing
        return handshake

    def choose_certificate(self, handshake: Handshake, server_name: str | None, _: ssl.SSLContext) -> None:
        """OpenSSL calls this in each handshake; without SNI and without a match the default certificate stays."""
        selection = find(server_name, self.known) if server_name else None
        if selection is not None:
            handshake.server_name = str(server_name)
            handshake.selection = selection
            handshake.context = self.contexts[selection]


def tls_context(listener: ListenerConfig, on_failure: Callable[[], None] = lambda: None) -> ListenerContext:
    """The context to listen with.

    Args:
        listener: Its certificate files have been looked at.
        on_failure: Called for each handshake that fails.

    Raises:
        TlsError: OpenSSL refuses the certificates, or a file has changed since it was looked at.
    """
    facts = [each.facts for each in listener.certificates if each.facts is not None]
    if not facts or len(facts) != len(listener.certificates):
        raise TlsError("the certificate files of this table have not been read")
    known = selections(facts)
    front = _context(ListenerContext, listener, DEFAULT)
    front.on_failure = on_failure
    front.arns = tuple(certificate_arn(each.digest) for each in facts)
    front.known = known
    front.contexts = {
        selection: front if selection == DEFAULT else _context(ssl.SSLContext, listener, selection)
        for selection in {DEFAULT, *known.values()}
    }
    # Not `set_servername_callback`: that one fails in the callback for names that are no IDNA.
    front.sni_callback = front.choose_certificate  # type: ignore[assignment]
    return front


def _context(kind: type[Context], listener: ListenerConfig, selection: Selection) -> Context:
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    path = ""
    try:
        _apply(SSL_POLICIES[listener.ssl_policy], context)
        context.set_alpn_protocols(list(ALPN_PROTOCOLS if listener.http2 else ALPN_PROTOCOLS[1:]))
        mutual = listener.mutual_authentication
        if mutual.mode == "verify":
            path = mutual.trust_store_file
            context.load_verify_locations(path)
            context.verify_mode = ssl.CERT_REQUIRED
        for index in selection:
            certificate = listener.certificates[index]
            path = certificate.certificate_file
            # With a password OpenSSL does not ask for one on the terminal.
            context.load_cert_chain(path, certificate.private_key_file, password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise TlsError(f"OpenSSL does not take {Path(path).name or listener.ssl_policy}: {reason}") from None
    return context


def _apply(policy: SslPolicy, context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        # The old versions are deprecated, and part of the load balancer's policies.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[policy.minimum]
        context.maximum_version = _VERSIONS[policy.maximum]
    if policy.ciphers:
        # OpenSSL 3 has TLS 1.0 and 1.1 at security level 0 only: their signatures are SHA-1.
        level = 0 if policy.minimum in ("TLSv1", "TLSv1.1") else 1
        context.set_ciphers(f"{':'.join(policy.ciphers)}:@SECLEVEL={level}")


def ignore_bad_server_names() -> None:
    """Have nothing written to standard error for a client whose server name is no ASCII; its handshake fails.

    Python decodes the name before our callback can see it, and reports the failure as an exception nobody can catch.
    """
    report = sys.unraisablehook

    def hook(failure: sys.UnraisableHookArgs) -> None:
        if failure.exc_type is UnicodeDecodeError and isinstance(failure.object, bytes):
            logger.debug("a client asks for the server name %r", failure.object)
        else:
            report(failure)

    sys.unraisablehook = hook


# What came of it


def session_of(ssl_object: Any) -> TlsSession:
    """What is known of a connection after its handshake; of a context that is not ours less is known."""
    cipher = ssl_object.cipher()
    version: str = ssl_object.version() or ""
    name: str = cipher[0] if cipher else ""
    if not isinstance(ssl_object, Handshake):
        return TlsSession(version, name)
    listener = ssl_object.listener
    verifies = listener.verify_mode == ssl.CERT_REQUIRED
    der = ssl_object.getpeercert(binary_form=True) if verifies else None
    return TlsSession(
        version=version,
        cipher=name,
        server_name=ssl_object.server_name,
        certificate=SESSION_REUSED if ssl_object.session_reused else listener.arns[_presented(ssl_object, name)],
        handshake_seconds=ssl_object.seconds,
        verifies=verifies,
        client_certificate=ClientCertificate(der) if der else None,
    )


def _presented(handshake: Handshake, cipher: str) -> int:
    """Which certificate a client got when there were ECDSA and RSA for it.

    Up to TLS 1.2 the cipher tells; every client of TLS 1.3 knows ECDSA (RFC 8446 9.1).
    """
    best, *others = handshake.selection
    is_rsa = not cipher.startswith("TLS_") and "ECDSA" not in cipher
    return others[0] if others and is_rsa else best
