"""A way to EC2 through the AWS SDK, made anew when a secret or a certificate has changed. The SDK is imported when it is first used.

It repeats nothing by itself: only who knows what a call was to do knows whether it may be made twice.
"""

import logging
from typing import Any

from adapters.aws.scope import Scope
from bridge.contract import DeviceConfig, trust, trust_mark
from bridge.errors import Denied

_NAMES = ("username", "password", "token")
_LOADERS: list[Any] = []


class Session:
    """Lends a client of the SDK for one account and region."""

    def __init__(self, config: DeviceConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope
        self._client: Any = None
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
        return tuple("" if self._scope.ambient else self._secret(name) for name in _NAMES)

    def close(self) -> None:
        """Give connections back."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _secret(self, name: str) -> str:
        try:
            return self._config.credentials.value(name)
        except KeyError:
            return ""

    def _made(self) -> Any:  # noqa: ANN401
        trust(self._config)
        try:
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            reason = "needs boto3: pip install 'fusion-bridge[aws]'"
            raise Denied(self._config.name, reason) from None
        # What it logs of calls and answers holds signatures, and whatever an answer repeats.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        user, password, token = self.secrets()
        if not self._scope.ambient and not (user and password):
            raise Denied(self._config.name, "needs the credentials username (access key) and password (its secret)")
        try:
            return self._connected(user, password, token)
        except (BotoCoreError, OSError, ValueError) as error:
            reason = f"the AWS SDK cannot be set up: {type(error).__name__}: {error}"
        raise Denied(self._config.name, reason)

    def _connected(self, user: str, password: str, token: str) -> Any:  # noqa: ANN401
        """A client, with whatever the environment and the files of the SDK say besides."""
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session as Sdk  # noqa: PLC0415

        config, sdk = self._config, Sdk()
        if not _LOADERS:
            _LOADERS.append(sdk.get_component("data_loader"))
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
