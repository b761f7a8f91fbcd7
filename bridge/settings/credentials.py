"""Where the secrets of a device are: never in the settings themselves, and read anew at each use."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import Field, model_validator

from bridge.contract import NotStated
from bridge.settings.fields import ClusterName, FilePath, Section, Text, Variable

NAMES = ("username", "password", "token")


class SecretKey(Section):
    """One key of a Kubernetes Secret. `cluster` names one of the settings' clusters; it can be left out when there is only one."""

    namespace: Text
    name: Text
    key: Text
    cluster: ClusterName | None = None


class SecretSource(Section):
    """Exactly one place where a secret is read."""

    file: FilePath | None = Field(None, description="A file whose whole content, less a final line end, is the secret.")
    env: Variable | None = Field(None, description="An environment variable.")
    secret: SecretKey | None = Field(None, description="A key of a Kubernetes Secret.")

    @model_validator(mode="before")
    @classmethod
    def _never_the_secret_itself(cls, value: Any) -> Any:  # noqa: ANN401 (whatever somebody typed)
        if value is not None and not isinstance(value, Mapping | SecretSource):
            raise ValueError(
                "names a place: write {file: …}, {env: …} or {secret: …}; no secret stands in the settings"
            )
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(place is not None for place in (self.file, self.env, self.secret)) != 1:
            raise ValueError("needs exactly one of file, env and secret")
        return self


class CredentialsSettings(Section):
    """Where each secret of a device is."""

    username: SecretSource | None = None
    password: SecretSource | None = None
    token: SecretSource | None = None

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        if not any(self.places()):
            raise ValueError("needs username and password, or token")
        return self

    def places(self) -> Iterator[tuple[str, SecretSource]]:
        """Name and place of every secret that is stated."""
        for name in NAMES:
            source = getattr(self, name)
            if source is not None:
                yield name, source


class SecretReader(Protocol):
    """How a key of a Kubernetes Secret is read; the cli brings one."""

    def __call__(self, secret: SecretKey) -> str:
        """Its value. KeyError when there is no such Secret or key; ClusterError when that cannot be told."""
        ...


class Credentials:
    """The secrets of one device, for its adapter. Nothing is kept: a rotated secret counts from its next use on."""

    __slots__ = ("_reader", "_settings")

    def __init__(self, settings: CredentialsSettings, reader: SecretReader | None = None) -> None:
        self._settings = settings
        self._reader = reader

    def __repr__(self) -> str:
        return "<Credentials>"

    def value(self, name: str) -> str:
        """The secret of this name. KeyError saying where it was looked for when it is not there; NotStated when nobody says where."""
        for stated, source in self._settings.places():
            if stated == name:
                return self._read(name, source)
        raise NotStated(f"{name} is not among the credentials")

    def absent(self) -> dict[str, str]:
        """The files and variables that are not there now, by the name of the secret. No cluster is asked."""
        found = {}
        for name, source in self._settings.places():
            if source.secret is None:
                try:
                    self._read(name, source)
                except KeyError as error:
                    found[name] = str(error.args[0])
        return found

    def _read(self, name: str, source: SecretSource) -> str:
        if source.file is not None:
            try:
                return secret_in(source.file)
            except KeyError as error:
                raise KeyError(f"{name}: {error.args[0]}") from None
        if source.env is not None:
            value = os.environ.get(source.env, "")
            if not value:
                raise KeyError(f"{name}: the environment variable {source.env} is not set")
            return value
        if source.secret is None or self._reader is None:
            raise KeyError(f"{name}: no way to read Kubernetes Secrets here")
        return self._reader(source.secret)


NO_CREDENTIALS = Credentials(CredentialsSettings.model_construct())


def secret_in(path: Path) -> str:
    """The content of a file, less a final line end. KeyError saying what is wrong with the file when there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KeyError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise KeyError(f"{path} is not UTF-8 text") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise KeyError(f"{path} is empty")
    return secret
