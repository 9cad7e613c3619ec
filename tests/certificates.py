"""Certificates that only who is told will trust: of this machine's address, and of a principal."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

__all__ = ["certificate_of_a_principal", "tls_for_loopback"]


def tls_for_loopback(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context, and the file by which to trust it."""
    private, certificate = _signed(ec.generate_private_key(ec.SECP256R1()))
    public, both = folder / "certificate.pem", folder / "certificate-and-key.pem"
    public.write_bytes(certificate)
    both.write_bytes(private + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, public


def certificate_of_a_principal() -> bytes:
    """A key and its certificate, as PEM."""
    private, certificate = _signed(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return private + certificate


def _signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> tuple[bytes, bytes]:
    """The key and a certificate that it has signed itself, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)
