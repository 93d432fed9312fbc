"""TLS for links, listeners and the HTTP API, and its errors in words.

A peer's certificate is verified unless the configuration says otherwise, its name too, before one
octet of ours is sent.

Spec: RFC 8446 (alerts in §6); names in certificates: RFC 6125 and 9525, as service_identity does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509
from OpenSSL import SSL
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
from smsgw.transport.certificates import ClientTls, Contexts, ServerTls
from smsgw.transport.opening import Bearing, Opening, connect_through

__all__ = [
    "ClientSide",
    "ClientTls",
    "Handshake",
    "ServerTls",
    "TlsEndpoint",
    "TlsFirst",
    "ascii_host",
    "explained",
]

TLS_PROBLEM = "TLS"
"""How the reason of a connection that TLS ended begins."""

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
    return Failure(LinkDown(f"{TLS_PROBLEM}: {words}"))


def _verified(problems: list[str]) -> Callable[[SSL.Connection, Any, int, int, int], bool]:
    """Return a callback that leaves OpenSSL's verdict as it is, and writes down what it was."""

    def note(connection: SSL.Connection, peer: Any, code: int, depth: int, good: int) -> bool:
        if not good:
            problems.append(_CERTIFICATE_PROBLEMS.get(code, f"was not verified (error {code})"))
        return bool(good)

    return note


# ---- the side that dials -----------------------------------------------------------------


@implementer(IOpenSSLClientConnectionCreator)
class ClientSide:
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
class Handshake(Opening):
    """Waits for the handshake and for the peer's name to be right.

    Args:
        factory: Builds the real protocol.
        clock: For the time limit.
        seconds: How long the handshake may take.
        name: What the certificate must be for; "" for whatever.
        listed: Certificates that are enough by themselves: old ones have no name to check.
    """

    what = "TLS handshake"

    def __init__(
        self,
        factory: IProtocolFactory,
        clock: IReactorTime,
        seconds: float,
        name: str,
        listed: Sequence[x509.Certificate] = (),
    ) -> None:
        super().__init__(factory, clock, seconds)
        self._name = name
        self._listed = listed
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
        connection = transport.getHandle()
        if connection.get_peer_certificate().to_cryptography() in self._listed:
            return ""
        verify = verify_ip_address if _is_address(self._name) else verify_hostname
        try:
            verify(connection, self._name)
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
        contexts: Those of ``tls``, where many connections share them.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        tls: ClientTls,
        host: str,
        clock: IReactorTime,
        seconds: float,
        contexts: Contexts | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._name = ascii_host(tls.server_name or host)
        self._verify = tls.verify
        self._contexts = contexts or Contexts(tls)
        self._clock = clock
        self._seconds = seconds

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; the protocol is built when the peer is known to be the right one."""
        try:
            context = self._contexts.current()
        except ConfigError as error:
            return fail(error)
        name = self._name if self._verify else ""
        opening = Handshake(
            protocolFactory, self._clock, self._seconds, name, self._contexts.listed
        )
        creator = ClientSide(context, self._name, self._verify, opening.certificate_problems)
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
class ServerSide:
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
            told = "TLS: {why}; the files read before stay in force"
            self.log.warn(told, event="tls.files_refused", why=str(error))
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
                "{host} was turned away: {why}",
                event="peer.turned_away",
                host=self._host,
                why=shown.getErrorMessage(),
            )
        self._inner.connectionLost(shown)


class TlsFirst(TLSMemoryBIOFactory):
    """A factory before another: each connection speaks TLS.

    Raises:
        ConfigError: A file cannot be used.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime, tls: ServerTls) -> None:
        super().__init__(ServerSide(tls), False, factory, clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        if inner is None:
            return None
        return self.protocol(self, _Watched(inner, getattr(addr, "host", "")))
