"""A way to EC2 through the AWS SDK, made anew when a secret or a certificate has changed. The SDK is imported when it is first used.

It repeats nothing by itself: only who knows what a call was to do knows whether it may be made twice.
"""

import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.aws.scope import Scope
from bridge.contract import DeviceConfig, NotStated, trust, trust_mark
from bridge.errors import Denied

_NAMES = ("username", "password", "token")
_PARTS = ("access_key", "secret_key", "token")  # as the SDK keeps them
_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
_FILES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
_LOADERS: list[Any] = []
_OPERATIONS = (
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "CreateManagedPrefixList",
    "CreateSecurityGroup",
    "CreateTags",
    "DeleteManagedPrefixList",
    "DeleteSecurityGroup",
    "DescribeManagedPrefixLists",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "GetManagedPrefixListEntries",
    "ModifyManagedPrefixList",
    "RevokeSecurityGroupIngress",
)


class Session:
    """Lends a client of the SDK for one account and region."""

    def __init__(self, config: DeviceConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope
        self._client: Any = None
        self._sdk: Any = None
        self._found: deque[str] = deque(maxlen=8)
        self._made_of: object = None

    def client(self) -> Any:  # noqa: ANN401 - the SDK makes its classes as it runs
        """The client for the secrets and certificates as they are now. Denied where they cannot be used, or there is no SDK."""
        made_of = (self.secrets(), trust_mark(self._config))
        if self._client is None or made_of != self._made_of:
            self.close()
            self._client = self._made()
            self._made_of = made_of
        return self._client

    def secrets(self) -> tuple[str, ...]:
        """Access key, its secret, and a session's token; empty where the settings give none."""
        return tuple("" if self._scope.ambient else self._secret(name) or "" for name in _NAMES)

    @property
    def ambient(self) -> bool:
        """Whether the SDK is to find its credentials itself: the settings say so, or state none at all."""
        return self._scope.ambient or all(self._secret(name) is None for name in _NAMES)

    def plain(self, text: str) -> str:
        """Text without a secret: our own, and those that the SDK has found by itself, as they are now and as they were."""
        for secret in {*self.secrets(), *(self._found_secrets() if self.ambient else ())}:
            if secret:
                text = text.replace(secret, "…")
        return text

    def _found_secrets(self) -> Iterator[str]:
        """What the SDK signs with, and what it exchanges for that; past its properties, which may fetch others."""
        held = vars(self._sdk).get("_credentials") if self._sdk else None
        for value in (vars(held).get(prefix + name) for name in _PARTS for prefix in ("", "_")) if held else ():
            if isinstance(value, str) and value not in self._found:
                self._found.append(value)
        yield from self._found
        yield from (os.environ.get(name, "") for name in _VARIABLES)
        yield from (_content(os.environ.get(name, "")) for name in _FILES)

    def close(self) -> None:
        """Give connections back."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _secret(self, name: str) -> str | None:
        """A secret of the settings: None where they state none of this name, empty where it is not there."""
        try:
            return self._config.credentials.value(name)
        except NotStated:
            return None
        except KeyError:
            return ""

    def _made(self) -> Any:  # noqa: ANN401
        if self._config.url.startswith("https"):
            trust(self._config)
        try:
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            reason = "needs boto3: pip install 'fusion-bridge[aws]'"
            raise Denied(self._config.name, reason) from None
        # What it logs of calls and answers holds signatures, and whatever an answer repeats.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        user, password, token = self.secrets()
        if not self.ambient and not (user and password):
            raise Denied(self._config.name, "needs the credentials username (access key) and password (its secret)")
        try:
            return self._connected(user, password, token)
        except (BotoCoreError, OSError, ValueError) as error:
            reason = self.plain(f"the AWS SDK cannot be set up: {type(error).__name__}: {error}")
        raise Denied(self._config.name, reason)

    def _connected(self, user: str, password: str, token: str) -> Any:  # noqa: ANN401
        """A client, with whatever the environment and the files of the SDK say besides."""
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session as Sdk  # noqa: PLC0415

        config, sdk = self._config, Sdk()
        self._sdk = sdk
        if not _LOADERS:
            _LOADERS.append(_slim(sdk.get_component("data_loader")))
        sdk.register_component("data_loader", _LOADERS[0])
        certificate = (config.cert_file, config.key_file) if config.key_file else config.cert_file
        return sdk.create_client(
            "ec2",
            region_name=self._scope.region,
            endpoint_url=config.url,
            verify=(config.ca_file or True) if config.tls_verify else False,
            aws_access_key_id=user or None,
            aws_secret_access_key=password or None,
            aws_session_token=token or None,
            config=Config(
                connect_timeout=config.timeout,
                read_timeout=config.timeout,
                retries={"total_max_attempts": 1, "mode": "standard"},
                client_cert=certificate,
                user_agent_extra="fusion-bridge",
            ),
        )


def _slim(loader: Any) -> Any:  # noqa: ANN401
    """What the SDK knows of EC2, less the hundreds of operations that nobody calls here: of each it would make a method of each client."""
    known = loader.load_service_model("ec2", "service-2")["operations"]
    for name in known.keys() - set(_OPERATIONS):
        del known[name]
    return loader


def _content(path: str) -> str:
    """What a file holds; empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else ""
    except (OSError, ValueError):
        return ""
