"""TLS of an HTTPS listener: certificates, policy and client certificates as one context to listen with.

    tls_context            a listener's contexts, ready for an event loop
    session_of             what headers and logs tell of a connection

Contexts never change once they are made. A reload makes new ones, so session tickets are those of one table: nobody
resumes a session that another trust store or policy allowed.
"""

from __future__ import annotations

import logging
import ssl
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from proxy.config.model import ListenerConfig
from proxy.config.ssl_policies import SSL_POLICIES, SslPolicy
from proxy.listen.handshake import Handshake
from proxy.listen.passthrough import PassthroughContext, PassthroughError
from proxy.listen.sni import DEFAULT, Selection, find, selections
from proxy.tls import MutualMode, TlsSession, certificate_arn

logger = logging.getLogger(__name__)

ALPN_PROTOCOLS: Final = ("h2", "http/1.1")
"""What the listener door speaks, most wanted first; the first only while `routing.http2.enabled`."""

_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

Context = TypeVar("Context", bound=ssl.SSLContext)
Kind = TypeVar("Kind", bound=ssl.SSLContext)


class TlsError(Exception):
    """A listener's TLS cannot be set up as it is written."""


# Contexts


class StandardHandshake(Handshake, ssl.SSLObject):
    """One connection's TLS by Python's `ssl`."""

    def step(self) -> None:
        ssl.SSLObject.do_handshake(self)

    def cipher(self) -> tuple[str, str, int] | None:
        return ssl.SSLObject.cipher(self)

    def version(self) -> str | None:
        return ssl.SSLObject.version(self)

    def is_resumed(self) -> bool:
        return bool(self.session_reused)

    def client_chain(self) -> tuple[bytes, ...]:
        """The client's own certificate alone."""
        der = self.getpeercert(binary_form=True)
        return (der,) if der else ()


class ListenerContext(ssl.SSLContext):
    """A listener's context: that of its default certificate, which hands a connection on to another one by SNI."""

    sslobject_class = StandardHandshake
    on_failure: Callable[[], None]
    arns: tuple[str, ...]
    mutual: MutualMode
    known: Mapping[str, Selection]
    contexts: Mapping[Selection, ssl.SSLContext]

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        """What an event loop calls for each connection."""
        handshake = super().wrap_bio(incoming, outgoing, *args, **options)
        assert isinstance(handshake, StandardHandshake)
        handshake.prepare(self, outgoing)
        return handshake

    def choose_certificate(self, handshake: StandardHandshake, server_name: str | None, _: ssl.SSLContext) -> None:
        """OpenSSL calls this in each handshake; without SNI and without a match the default certificate stays."""
        selection = find(server_name, self.known) if server_name else None
        if selection is not None:
            handshake.server_name = str(server_name)
            handshake.selection = selection
            handshake.context = self.contexts[selection]


def tls_context(listener: ListenerConfig, on_failure: Callable[[], None] = lambda: None) -> ssl.SSLContext:
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
    arns = tuple(certificate_arn(each.digest) for each in facts)
    protocols = ALPN_PROTOCOLS if listener.http2 else ALPN_PROTOCOLS[1:]
    if listener.mutual_authentication.mode == "passthrough":
        try:
            return PassthroughContext.of(listener, known, arns, protocols, on_failure)
        except PassthroughError as error:
            raise TlsError(str(error)) from None
    front = _context(ListenerContext, listener, DEFAULT)
    front.on_failure = on_failure
    front.arns = arns
    front.mutual = listener.mutual_authentication.mode
    front.known = known
    front.contexts = {
        selection: front if selection == DEFAULT else _context(ssl.SSLContext, listener, selection)
        for selection in {DEFAULT, *known.values()}
    }
    # Not `set_servername_callback`: that one fails in the callback for names that are no IDNA.
    front.sni_callback = front.choose_certificate  # type: ignore[assignment]
    return front


def _context(kind: type[Kind], listener: ListenerConfig, selection: Selection) -> Kind:
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
    if isinstance(ssl_object, Handshake):
        return ssl_object.outcome()
    cipher = ssl_object.cipher()
    return TlsSession(ssl_object.version() or "", cipher[0] if cipher else "")
