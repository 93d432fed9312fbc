"""Certificate files -> TLS contexts.

Every file is checked with the words of its key in the configuration. Files are read again when they
changed, so that a renewed certificate holds from the next connection on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto

from smsgw.errors import ConfigError

CIPHERS = (
    b"ECDH+AESGCM:ECDH+CHACHA20:DH+AESGCM:DH+CHACHA20:ECDH+AES256:DH+AES256:ECDH+AES128:DH+AES:"
    b"RSA+AESGCM:RSA+AES:!aNULL:!MD5:!DSS"
)
"""For TLS 1.2, as Twisted has them: forward secrecy first, without it for old gateways last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How a link secures the connections it opens.

    Attributes:
        ca: Certificates to trust, PEM; None for those the system trusts. Of a peer whose own
            certificate is among them no name is asked.
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


def valid_until(file: Path) -> datetime:
    """Return until when the first certificate in a file holds, in UTC.

    Raises:
        ConfigError: There is none that can be read.
    """
    return _certificates("certificate", file)[0].not_valid_after_utc


class Contexts:
    """The context for new connections: made anew when one of its files has changed.

    Args:
        tls: The files.

    Attributes:
        listed: The certificates in ``ca``, as they were read last.
    """

    def __init__(self, tls: ClientTls | ServerTls) -> None:
        self._tls = tls
        self._files = [file for file in (tls.ca, tls.certificate, tls.key) if file is not None]
        self._seen: list[tuple[int, int]] | None = None
        self._context: SSL.Context | None = None
        self.listed: Sequence[x509.Certificate] = ()

    def current(self) -> SSL.Context:
        """Return the context.

        Raises:
            ConfigError: A file cannot be used (any more).
        """
        seen = self._look()
        if self._context is None or seen is None or seen != self._seen:
            self._context, self._seen = _context(self._tls), seen
            self.listed = _certificates("ca", self._tls.ca) if self._tls.ca is not None else ()
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
