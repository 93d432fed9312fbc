"""TLS for links, listeners and the HTTP API: files -> contexts, and errors in words.

A peer's certificate is verified unless the configuration says otherwise, its name too, before one
octet of ours is sent. Files are read again when they changed, so that a renewed certificate holds
from the next connection on. The only importer of OpenSSL, cryptography and service_identity.

Spec: RFC 8446 (alerts in §6); names in certificates: RFC 6125 and 9525, as service_identity does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.errors import ConfigError, LinkDown
from smsgw.transport.opening import Bearing, Opening, connect_through

CIPHERS = (
    b"ECDH+AESGCM:ECDH+CHACHA20:DH+AESGCM:DH+CHACHA20:ECDH+AES256:DH+AES256:ECDH+AES128:DH+AES:"
    b"RSA+AESGCM:RSA+AES:!aNULL:!MD5:!DSS"
)
"""For TLS 1.2, as Twisted has them: forward secrecy first, without it for old gateways last."""

_CERTIFICATE_PROBLEMS = {
    2: "was not issued by anyone we trust",
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed and not one we trust",
    19: "leads to a root that we do not trust",
    20: "was not issued by anyone we trust",
    21: "was not issued by anyone we trust",
    23: "was revoked",
    26: "is not for this purpose",
}
"""X509_V_ERR_…: what is wrong with a peer's certificate."""

_ERRORS = {
    "alert certificate required": "the peer wants a certificate of ours; set certificate and key",
    "alert unknown ca": "the peer does not trust whoever issued our certificate",
    "alert certificate expired": "the peer says that our certificate has expired",
    "alert certificate revoked": "the peer says that our certificate was revoked",
    "alert certificate unknown": "the peer does not accept our certificate",
    "alert bad certificate": "the peer does not accept our certificate",
    "alert unsupported certificate": "the peer does not accept our certificate",
    "alert handshake failure": "the peer refused: no common cipher, or it wants a certificate",
    "alert access denied": "the peer refused: access denied",
    "unrecognized name": "the peer has no certificate for this server_name",
    "protocol version": "no TLS version in common with the peer; ours are 1.2 and 1.3",
    "unsupported protocol": "no TLS version in common with the peer; ours are 1.2 and 1.3",
    "no shared cipher": "no cipher in common with the peer",
    "did not return a certificate": "the peer showed no certificate",
    "wrong version number": "what the peer says is not TLS",
    "record layer failure": "what the peer says is not TLS",
    "packet length too long": "what the peer says is not TLS",
    "http request": "what the peer says is not TLS but HTTP",
}
"""Part of OpenSSL's own words, without case and in the form they have since 3.0, -> ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How a link secures the connections it opens.

    Attributes:
        ca: Certificates to trust, PEM; None for those the system trusts.
        certificate: Ours, with its chain, PEM; None to show none.
        key: Its private key, PEM; None when it is in the same file.
        server_name: The name the peer's certificate must have; "" for the host dialled.
        verify: Whether the peer's certificate is verified at all.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """How a port of ours secures the connections it takes.

    Attributes:
        certificate: Ours, with its chain, PEM.
        key: Its private key, PEM; None when it is in the same file.
        ca: Clients must show a certificate issued by one of these, PEM; None asks for none.
    """

    certificate: Path
    key: Path | None = None
    ca: Path | None = None


def check(tls: ClientTls | ServerTls) -> list[str]:
    """Read all files and return what is to be warned of: certificates of ours that are not valid.

    Raises:
        ConfigError: A file cannot be used; ``path`` is the attribute it stands in.
    """
    _context(tls)
    if tls.certificate is None:
        return []
    warnings = []
    now = datetime.now(UTC)
    certificate = _certificates("certificate", tls.certificate)[0]
    if now > certificate.not_valid_after_utc:
        warnings.append(f"{tls.certificate} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if now < certificate.not_valid_before_utc:
        since = certificate.not_valid_before_utc
        warnings.append(f"{tls.certificate} is valid only from {since:%Y-%m-%d} on")
    return warnings


# ---- files -------------------------------------------------------------------------------


class Contexts:
    """The context for new connections: made anew when one of its files has changed.

    Args:
        tls: The files.
    """

    def __init__(self, tls: ClientTls | ServerTls) -> None:
        self._tls = tls
        self._files = [file for file in (tls.ca, tls.certificate, tls.key) if file is not None]
        self._seen: list[tuple[int, int]] | None = None
        self._context: SSL.Context | None = None

    def current(self) -> SSL.Context:
        """Return the context.

        Raises:
            ConfigError: A file cannot be used (any more).
        """
        seen = self._look()
        if self._context is None or seen is None or seen != self._seen:
            self._context, self._seen = _context(self._tls), seen
        return self._context

    def _look(self) -> list[tuple[int, int]] | None:
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None
        return [(one.st_mtime_ns, one.st_ino) for one in found]


def _context(tls: ClientTls | ServerTls) -> SSL.Context:
    """Make the context for connections of one kind, either way; who verifies is set on each."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_RENEGOTIATION
    )
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # each connection is verified anew
    context.set_session_id(b"smsgw")  # needed where client certificates are asked for
    if tls.certificate is not None:
        _use_certificate(context, tls.certificate, tls.key)
    if tls.ca is not None:
        _certificates("ca", tls.ca)
        context.load_verify_locations(str(tls.ca))
        store: Any = context.get_cert_store()  # a peer's own certificate may be listed
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    elif isinstance(tls, ClientTls):
        context.set_default_verify_paths()
    context.set_cipher_list(CIPHERS)
    return context


def _use_certificate(context: SSL.Context, file: Path, key_file: Path | None) -> None:
    certificate = _certificates("certificate", file)[0]
    name, holder = ("key", key_file) if key_file is not None else ("certificate", file)
    key = _key(name, holder)
    if key.public_key() != certificate.public_key():
        raise ConfigError(name, f"{holder} is not the key of {file}")
    try:
        context.use_certificate_chain_file(str(file))
        context.use_privatekey(key)
    except (SSL.Error, TypeError) as error:  # a key too short for OpenSSL, or not for TLS
        raise ConfigError("certificate", f"{file} is not usable: {error}") from error


def _read(name: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(name, f"cannot read {file}: {error.strerror}") from error


def _certificates(name: str, file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(name, file))
    except ValueError as error:
        raise ConfigError(name, f"{file} has no certificate that can be read (PEM)") from error


def _key(name: str, file: Path) -> Any:
    octets = _read(name, file)
    try:
        return serialization.load_pem_private_key(octets, None)
    except TypeError as error:
        raise ConfigError(name, f"{file}: the key has a passphrase; give one without") from error
    except ValueError as error:
        raise ConfigError(name, f"{file} has no private key that can be read (PEM)") from error


# ---- words -------------------------------------------------------------------------------


def _words(error: SSL.Error) -> str:
    """Return what an OpenSSL error means."""
    queue = error.args[0] if error.args else ()
    said = [str(part[-1]) for part in queue] if isinstance(queue, list | tuple) else []
    for reason in said:
        for known, words in _ERRORS.items():
            if known in reason.lower():
                return words
    return "; ".join(said) or "the peer closed the connection"


def explained(reason: Failure, certificate_problems: Sequence[str]) -> Failure:
    """Return a TLS failure as a LinkDown in words; any other as it is.

    Args:
        reason: Why a connection ended.
        certificate_problems: What was wrong with the peer's certificate.
    """
    if not isinstance(reason.value, SSL.Error):
        return reason
    words = _words(reason.value)
    if certificate_problems and "verify failed" in words:
        words = f"the peer's certificate {certificate_problems[0]}"
    return Failure(LinkDown(f"TLS: {words}"))


def _verified(problems: list[str]) -> Callable[[SSL.Connection, Any, int, int, int], bool]:
    """Return a callback that leaves OpenSSL's verdict as it is, and writes down what it was."""

    def note(connection: SSL.Connection, peer: Any, code: int, depth: int, good: int) -> bool:
        if not good:
            problems.append(_CERTIFICATE_PROBLEMS.get(code, f"was not verified (error {code})"))
        return bool(good)

    return note


# ---- the side that dials -----------------------------------------------------------------


@implementer(IOpenSSLClientConnectionCreator)
class _Dialling:
    """Makes the TLS side of one connection we open."""

    def __init__(self, context: SSL.Context, name: str, verify: bool, problems: list[str]) -> None:
        self._context = context
        self._name = name
        self._verify = verify
        self._problems = problems

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._name):
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        mode = SSL.VERIFY_PEER if self._verify else SSL.VERIFY_NONE
        connection.set_verify(mode, _verified(self._problems) if self._verify else None)
        return connection


@implementer(IHandshakeListener)
class _Handshake(Opening):
    """Waits for the handshake and for the peer's name to be right."""

    what = "TLS handshake"

    def __init__(
        self, factory: IProtocolFactory, clock: IReactorTime, seconds: float, name: str
    ) -> None:
        super().__init__(factory, clock, seconds)
        self._name = name
        self.certificate_problems: list[str] = []

    def handshakeCompleted(self) -> None:
        problem = self._name_problem() if self._name else ""
        if problem:
            self.fail(LinkDown(f"TLS: the peer's certificate {problem}"))
        elif not self._over:
            self.hand_over()

    def explain(self, reason: Failure) -> Failure:
        return explained(reason, self.certificate_problems)

    def _name_problem(self) -> str:
        transport: Any = self.transport
        verify = verify_ip_address if _is_address(self._name) else verify_hostname
        try:
            verify(transport.getHandle(), self._name)
        except VerificationError:
            return f"is not for {self._name}; is server_name right?"
        except CertificateError as error:
            return f"names nobody in a form that can be verified ({error})"
        return ""


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """Dials another endpoint and speaks TLS there.

    Args:
        endpoint: Where to connect; a proxy's tunnel too.
        tls: Files and names.
        host: The host dialled.
        clock: For the time limit.
        seconds: How long the handshake may take.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        tls: ClientTls,
        host: str,
        clock: IReactorTime,
        seconds: float,
    ) -> None:
        self._endpoint = endpoint
        self._name = ascii_host(tls.server_name or host)
        self._verify = tls.verify
        self._contexts = Contexts(tls)
        self._clock = clock
        self._seconds = seconds

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; the protocol is built when the peer is known to be the right one."""
        try:
            context = self._contexts.current()
        except ConfigError as error:
            return fail(error)
        name = self._name if self._verify else ""
        opening = _Handshake(protocolFactory, self._clock, self._seconds, name)
        creator = _Dialling(context, self._name, self._verify, opening.certificate_problems)
        bearing = Bearing(opening, protocolFactory)
        wrapped = TLSMemoryBIOFactory(creator, True, bearing, self._clock)
        return connect_through(self._endpoint, wrapped, opening)


def ascii_host(host: str) -> str:
    """Return a host as it stands in certificates and on the wire: without zone, IDNA encoded.

    Raises:
        ConfigError: It cannot be encoded.
    """
    host = host.partition("%")[0]
    if _is_address(host):
        return host
    try:
        return host.encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError as error:
        raise ConfigError("host", f"{host!r} is no host name") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# ---- the side that listens ---------------------------------------------------------------


@implementer(IOpenSSLServerConnectionCreator)
class _Accepting:
    """Makes the TLS side of the connections we take."""

    log = Logger()

    def __init__(self, tls: ServerTls) -> None:
        self._contexts = Contexts(tls)
        self._asks = tls.ca is not None
        self._latest = self._contexts.current()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        try:
            self._latest = self._contexts.current()
        except ConfigError as error:
            self.log.warn("TLS: {error}; the files read before stay in force", error=str(error))
        connection = SSL.Connection(self._latest, None)
        watched: Any = tlsProtocol.wrappedProtocol
        if self._asks:
            mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            connection.set_verify(mode, _verified(watched.certificate_problems))
        return connection


class _Watched(Protocol):
    """A taken connection's protocol; says in the log why TLS failed."""

    log = Logger()

    def __init__(self, inner: IProtocol, host: str) -> None:
        self._inner = inner
        self._host = host
        self.certificate_problems: list[str] = []

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._inner.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        shown = explained(reason, self.certificate_problems)
        if shown is not reason:
            self.log.warn(
                "{host} was turned away: {why}", host=self._host, why=shown.getErrorMessage()
            )
        self._inner.connectionLost(shown)


class TlsFirst(TLSMemoryBIOFactory):
    """A factory before another: each connection speaks TLS.

    Raises:
        ConfigError: A file cannot be used.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime, tls: ServerTls) -> None:
        super().__init__(_Accepting(tls), False, factory, clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        if inner is None:
            return None
        return self.protocol(self, _Watched(inner, getattr(addr, "host", "")))
