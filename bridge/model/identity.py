"""Keys: what an object on a device is about, in a form that is stable, readable and the same in code, database and reports."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an object on a device is, in the words of the design; an adapter knows its own word for each."""

    GROUP = "group"
    SHARD = "shard"
    PORTS = "ports"
    SCHEDULE = "schedule"
    RULE_LIST = "rules"
    POLICY = "policy"
    ATTACHMENT = "attachment"
    FENCE = "fence"  # whose device it is; written at a take-over, never part of a plan


class Scope(StrEnum):
    """What kind of thing an object stands for."""

    CLUSTER = "cluster"  # the cluster tier, or a group of the whole cluster by a cluster rule
    NAMESPACE = "namespace"
    SERVICE = "service"
    RULE = "rule"  # the selection of one rule
    ADDRESS_GROUP = "addressgroup"
    ANNOTATION = "annotation"
    EXTERNAL = "external"
    CLUSTER_EXTERNAL = "clusterexternal"
    BUILTIN = "builtin"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """One object that the bridge keeps on a device. Cluster, scope, namespace and name say whom it is about.

    `part` counts shards as "<index>.<of>" (hexadecimal index) and is empty elsewhere. The text form is
    `kind:cluster/scope/namespace/name[#part]`; Kubernetes names hold none of these separators, so `parse(str(key)) == key`.
    """

    kind: Kind
    cluster: str
    scope: Scope
    namespace: str = ""
    name: str = ""
    part: str = ""

    def __hash__(self) -> int:
        """Of what nearly always tells keys apart: tables of keys are looked into all day long."""
        return hash((self.namespace, self.name, self.part))

    def __str__(self) -> str:
        tail = f"#{self.part}" if self.part else ""
        return f"{self.kind}:{self.cluster}/{self.scope}/{self.namespace}/{self.name}{tail}"

    @classmethod
    def parse(cls, text: str) -> "ObjectKey":
        """The key of a text form; ValueError when it is none."""
        kind, _, rest = text.partition(":")
        rest, _, part = rest.partition("#")
        fields = rest.split("/", 3)
        if len(fields) != 4:
            raise ValueError(f"{text!r} is not an object key")
        cluster, scope, namespace, name = fields
        return cls(Kind(kind), cluster, Scope(scope), namespace, name, part)

    def shard(self, index: int, of: int) -> "ObjectKey":
        """The key of one shard of this group."""
        return ObjectKey(Kind.SHARD, self.cluster, self.scope, self.namespace, self.name, f"{index:02x}.{of}")

    @classmethod
    def fence(cls) -> "ObjectKey":
        """The key of a device's one fence object."""
        return cls(Kind.FENCE, "", Scope.BUILTIN)

    @property
    def group(self) -> "ObjectKey":
        """The group that this shard belongs to (the key itself for a group)."""
        if self.kind is not Kind.SHARD:
            return self
        return ObjectKey(Kind.GROUP, self.cluster, self.scope, self.namespace, self.name)
