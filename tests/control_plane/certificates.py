"""What the API server needs to prove itself and to know its callers: a CA, a serving certificate, keys and tokens."""

import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files in one folder, and the token of an administrator (group system:masters)."""

    ca: Path
    serving_certificate: Path
    serving_key: Path
    service_account_key: Path
    tokens: Path
    token: str = field(repr=False)

    def tls(self) -> ssl.SSLContext:
        """A client's context that trusts this CA and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca))


def issue(folder: Path) -> Credentials:
    """Make everything new in `folder`, readable by its owner only."""
    folder.mkdir(parents=True, mode=0o700)
    credentials = Credentials(
        ca=folder / "ca.crt",
        serving_certificate=folder / "server.crt",
        serving_key=folder / "server.key",
        service_account_key=folder / "service-account.key",
        tokens=folder / "tokens.csv",
        token=secrets.token_hex(16),
    )
    ca = trustme.CA(organization_name="fusion-bridge tests")
    ca.cert_pem.write_to_path(credentials.ca)
    serving = ca.issue_cert("127.0.0.1", "localhost", "kubernetes.default.svc")
    serving.private_key_pem.write_to_path(credentials.serving_key)
    for index, certificate in enumerate(serving.cert_chain_pems):
        certificate.write_to_path(credentials.serving_certificate, append=index > 0)
    credentials.service_account_key.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    credentials.tokens.write_text(f'{credentials.token},admin,admin,"system:masters"\n')
    return credentials
