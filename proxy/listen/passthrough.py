"""TLS that lets client certificates pass unverified: `mutual_authentication: {mode: passthrough}` (alb.md 6.4).

Python's `ssl` asks for a client certificate only together with verifying it. pyOpenSSL leaves the verdict to a
callback, so on these listeners it makes the connections, within the interface of `ssl` that event loops know: what came
in is read from one memory BIO, what goes out is written to the other, and its errors are raised as those of `ssl`.

Sessions are never resumed here: a ticket holds the client's own certificate, and not the chain that targets are to get.
"""

from __future__ import annotations

import socket
import ssl
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from proxy.config.model import ListenerConfig
from proxy.config.ssl_policies import SSL_POLICIES
from proxy.listen.handshake import Handshake
from proxy.listen.sni import DEFAULT, Selection, find
from proxy.tls import MutualMode

MAX_RECORD_BYTES: Final = 16 * 1024
"""What one read can give at most (RFC 8446 5.1)."""
_VERSIONS: Final = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}

Result = TypeVar("Result")


class PassthroughError(Exception):
    """A listener's TLS cannot be set up as it is written."""


class PassthroughContext(ssl.SSLContext):
    """What event loops take for a context of `ssl`; of that it has the name alone."""

    on_failure: Callable[[], None]
    arns: tuple[str, ...]
    mutual: MutualMode = "passthrough"
    known: Mapping[str, Selection]
    contexts: Mapping[Selection, SSL.Context]

    @classmethod
    def of(
        cls,
        listener: ListenerConfig,
        known: Mapping[str, Selection],
        arns: tuple[str, ...],
        protocols: Sequence[str],
        on_failure: Callable[[], None],
    ) -> PassthroughContext:
        """The contexts of a listener; see `proxy.listen.tls.tls_context`. Raises PassthroughError."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.on_failure = on_failure
        context.arns = arns
        context.known = known
        context.contexts = {
            selection: _context(listener, selection, protocols) for selection in {DEFAULT, *known.values()}
        }
        context.contexts[DEFAULT].set_tlsext_servername_callback(context._choose_certificate)
        return context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        """What an event loop calls for each connection."""
        handshake = PassthroughHandshake(SSL.Connection(self.contexts[DEFAULT], None), incoming, outgoing)
        handshake.prepare(self, outgoing)
        return cast(ssl.SSLObject, handshake)

    def _choose_certificate(self, connection: SSL.Connection) -> None:
        """OpenSSL calls this in each handshake; without SNI and without a match the default certificate stays."""
        name = (connection.get_servername() or b"").decode("ascii", "replace")
        selection = find(name, self.known) if name else None
        handshake = connection.get_app_data()()
        if selection is not None and handshake is not None:
            handshake.server_name = name
            handshake.selection = selection
            connection.set_context(self.contexts[selection])


def _context(listener: ListenerConfig, selection: Selection, protocols: Sequence[str]) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    policy = SSL_POLICIES[listener.ssl_policy]
    path = ""
    try:
        context.set_min_proto_version(_VERSIONS[policy.minimum])
        context.set_max_proto_version(_VERSIONS[policy.maximum])
        if policy.ciphers:
            # OpenSSL 3 has TLS 1.0 and 1.1 at security level 0 only: their signatures are SHA-1.
            level = 0 if policy.minimum in ("TLSv1", "TLSv1.1") else 1
            context.set_cipher_list(f"{':'.join(policy.ciphers)}:@SECLEVEL={level}".encode())
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER, _accept_any)
        context.set_alpn_select_callback(_chooser([each.encode() for each in protocols]))
        for index in selection:
            certificate = listener.certificates[index]
            path = certificate.certificate_file
            context.use_certificate_chain_file(path)
            # Not by OpenSSL, which would ask for the passphrase of an encrypted one on the terminal.
            key = load_pem_private_key(Path(certificate.private_key_file).read_bytes(), password=None)
            context.use_privatekey(cast(ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, key))
            context.check_privatekey()
    except (OSError, TypeError, ValueError, SSL.Error, crypto.Error) as error:
        raise PassthroughError(
            f"OpenSSL does not take {Path(path).name or listener.ssl_policy}: {_reason(error)}"
        ) from None
    return context


def _accept_any(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, verdict: int) -> bool:
    """That the client has the certificate's key is still proven; whether to trust it is for the targets to say."""
    return True


def _chooser(ours: list[bytes]) -> Callable[[SSL.Connection, list[bytes]], Any]:
    def choose(connection: SSL.Connection, theirs: list[bytes]) -> Any:
        return next((each for each in ours if each in theirs), SSL.NO_OVERLAPPING_PROTOCOLS)

    return choose


class PassthroughHandshake(Handshake):
    """One connection's TLS by pyOpenSSL, with the methods of `ssl.SSLObject` that event loops and doors call."""

    session_reused = False
    server_side = True

    def __init__(self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._connection = connection
        self._incoming = incoming
        self.outgoing = outgoing
        connection.set_accept_state()
        # Weak, as a cycle of these would outlive its connection by far.
        connection.set_app_data(weakref.ref(self))

    def step(self) -> None:
        self._call(self._connection.do_handshake)

    def read(self, len: int = MAX_RECORD_BYTES, buffer: Any = None) -> Any:
        """Up to `len` bytes, or how many were written into `buffer`; nothing when the client has closed."""
        size = min(len, MAX_RECORD_BYTES)
        try:
            if buffer is None:
                return self._call(lambda: self._connection.recv(size))
            return self._call(lambda: self._connection.recv_into(buffer, size))
        except ssl.SSLZeroReturnError:
            if self._connection.get_shutdown() != SSL.RECEIVED_SHUTDOWN:
                raise
            return b"" if buffer is None else 0

    def write(self, data: Any) -> int:
        """Encrypt `data`; return how much of it was taken."""
        return self._call(lambda: self._connection.send(data)) if data else 0

    def unwrap(self) -> None:
        """Close; raise ssl.SSLWantReadError until the client has closed, too."""
        if not self._call(self._connection.shutdown) and not self._call(self._connection.shutdown):
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the client has not closed yet")

    def pending(self) -> int:
        """Bytes that can be read; 1 if a read would tell that the client has closed, or what is wrong.

        Event loops stop reading at 0 when nothing is left in `incoming` either, and of that nothing ever is.
        """
        try:
            self._call(lambda: self._connection.recv(1, socket.MSG_PEEK))
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLError:
            return 1
        return self._connection.pending()

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The client's certificate as DER; otherwise nothing, as `ssl` has it for what is not verified."""
        chain = self.client_chain()
        if binary_form:
            return chain[0] if chain else None
        return {} if chain else None

    def client_chain(self) -> tuple[bytes, ...]:
        own = self._connection.get_peer_certificate()
        if own is None:
            return ()
        # A server's chain does not have the client's own certificate (SSL_get_peer_cert_chain(3)).
        others = self._connection.get_peer_cert_chain() or []
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, each) for each in (own, *others))

    def cipher(self) -> tuple[str, str, int] | None:
        connection = self._connection
        name, version, bits = (
            connection.get_cipher_name(),
            connection.get_cipher_version(),
            connection.get_cipher_bits(),
        )
        return None if name is None or version is None or bits is None else (name, version, bits)

    def version(self) -> str | None:
        return self._connection.get_protocol_version_name()

    def compression(self) -> None:
        """There is none."""

    def selected_alpn_protocol(self) -> str | None:
        """What was agreed on; None without ALPN."""
        return self._connection.get_alpn_proto_negotiated().decode("ascii") or None

    def _call(self, operation: Callable[[], Result]) -> Result:
        """Have OpenSSL work on all that has come in, and take what it wants to send."""
        self._feed()
        try:
            return operation()
        except SSL.WantReadError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more has to come in") from None
        except SSL.WantWriteError:
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "more has to go out") from None
        except SSL.ZeroReturnError:
            raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the client has closed") from None
        except SSL.SysCallError:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the client is gone") from None
        except SSL.Error as error:
            reason = _reason(error)
            failure = ssl.SSLError(ssl.SSL_ERROR_SSL, reason)
            failure.library, failure.reason = "SSL", reason.upper().replace(" ", "_")
            raise failure from None
        finally:
            self._drain()

    def _feed(self) -> None:
        received = self._incoming.read()
        while received:
            received = received[self._connection.bio_write(received) :]
        if self._incoming.eof:
            self._connection.bio_shutdown()

    def _drain(self) -> None:
        try:
            while True:
                self.outgoing.write(self._connection.bio_read(4 * MAX_RECORD_BYTES))
        except SSL.WantReadError:
            return


def _reason(error: BaseException) -> str:
    """OpenSSL's own words for its first complaint."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.args[0] if error.args else ""
    if isinstance(first, list | tuple) and first:
        return str(first[0][-1])
    return str(first) or type(error).__name__
