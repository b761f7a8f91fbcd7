"""What every value of a report is made of, and how it names the object that it is about."""

import msgspec

from bridge.model.identity import ObjectKey


class Value(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a report."""


class About(Value, frozen=True):
    """Which object something is said of: its key, whole and in its parts."""

    object: str
    kind: str
    cluster: str
    scope: str
    namespace: str
    name: str

    @property
    def key(self) -> ObjectKey:
        """The key; ValueError for one of a version that knew other kinds."""
        return ObjectKey.parse(self.object)


def about(key: ObjectKey) -> tuple[str, str, str, str, str, str]:
    """The fields of About."""
    return str(key), key.kind.value, key.cluster, key.scope.value, key.namespace, key.name
