"""One cluster: how to reach it, which addresses are inside it, and what of it is governed (SEMANTICS 1)."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.model.gate import PATIENCE
from bridge.model.policy import Governance, Operator, Requirement, Selector
from bridge.settings.fields import ClusterName, FilePath, NamespaceName, Prefix, Seconds, Section, Text

NEVER = "kube-system"  # governed only when it is named


class MatchExpression(Section):
    """One requirement of a label selector, in Kubernetes' words."""

    key: Text
    operator: Operator
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        compares = self.operator in (Operator.IN, Operator.NOT_IN)
        if compares != bool(self.values):
            raise ValueError(f"{self.operator} takes {'at least one of' if compares else 'no'} values")
        return self


class LabelSelector(Section):
    """A label selector as Kubernetes writes it: everything stated must hold, nothing stated selects everything."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: tuple[MatchExpression, ...] = ()

    def selector(self) -> Selector:
        """The model's selector."""
        labels = [Requirement(key, Operator.IN, (value,)) for key, value in sorted(self.match_labels.items())]
        return Selector((*labels, *(Requirement(one.key, one.operator, one.values) for one in self.match_expressions)))


def _governed_by_label() -> LabelSelector:
    return LabelSelector.model_validate({"matchLabels": {"fusionbridge.io/egress": "governed"}})


class GovernedSettings(Section):
    """Which namespaces the rules reach."""

    namespace_selector: LabelSelector = Field(
        default_factory=_governed_by_label, description="Governed are the namespaces whose labels this selects."
    )
    namespaces: tuple[NamespaceName, ...] = Field((), description="Governed too, one by one, whatever their labels.")
    never: tuple[NamespaceName, ...] = Field(
        (),
        description="Never governed unless named one by one; kube-system and the bridge's own are on this list already.",
    )


def _not_empty(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    if not prefixes:
        raise ValueError("must name at least one prefix: an address outside it never becomes a member")
    return prefixes


def _one_at_least(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("must name at least one; without it, native")
    return tuple(dict.fromkeys(names))


class CesSettings(Section):
    """What the dialect `ces` cannot read off the objects."""

    controller_namespace: NamespaceName = Field(
        "kube-system", description="Where the CES controller runs: cluster rules find their external services there."
    )


class GateSettings(Section):
    """Pods that wait until the firewalls know them (the readiness gate fusionbridge.io/programmed)."""

    timeout: Seconds = Field(PATIENCE, description="After so many seconds a gate opens, whatever the firewalls do.")
    never: tuple[NamespaceName, ...] = Field(
        (),
        description="Namespaces whose pods never wait; kube-system, the bridge's own and its database's are on this list already.",
    )


class ClusterSettings(Section):
    """One Kubernetes API server that is watched."""

    name: ClusterName = Field(description="Part of every object's name on every device; never to be changed.")
    kubeconfig: FilePath | None = Field(
        None, description="Without it, and not inCluster, kubectl's own default applies."
    )
    context: Text | None = Field(None, description="A context of the kubeconfig; without it, its current one.")
    in_cluster: bool = Field(False, description="Use the service account of the pod that the bridge runs in.")
    connect_timeout: Seconds = 10.0
    read_timeout: Seconds = 60.0
    pod_ranges: Annotated[tuple[Prefix, ...], AfterValidator(_not_empty)] = Field(
        description="Prefixes of the pods. Clusters that share a device need disjoint ones."
    )
    service_ranges: tuple[Prefix, ...] = Field((), description="Prefixes of the Services' cluster addresses.")
    node_ranges: tuple[Prefix, ...] = Field((), description="Prefixes of the nodes.")
    internal: tuple[Prefix, ...] = Field((), description="Further prefixes that no rule may reach as a destination.")
    governed: GovernedSettings = Field(default_factory=GovernedSettings)
    dialects: Annotated[tuple[Text, ...], AfterValidator(_one_at_least)] = Field(
        ("native",), description="How policy may be written here: native (our own kinds), ces (those of F5 CES)."
    )
    ces: CesSettings = Field(default_factory=CesSettings)
    gate: GateSettings = Field(default_factory=GateSettings)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.in_cluster and (self.kubeconfig or self.context):
            raise ValueError("inCluster goes without kubeconfig and context")
        return self

    def governance(self, own_namespace: str = "", database_namespace: str = "") -> Governance:
        """What is governed. `own_namespace` is where the bridge itself runs in this cluster, "" when it runs elsewhere; so with its
        database."""
        inside = (*self.pod_ranges, *self.service_ranges, *self.node_ranges, *self.internal)
        return Governance(
            pod_ranges=self.pod_ranges,
            internal=tuple(dict.fromkeys(inside)),
            namespaces=self.governed.namespace_selector.selector(),
            never=frozenset({NEVER, *self.governed.never, *filter(None, [own_namespace])}),
            named=frozenset(self.governed.namespaces),
            node_ranges=self.node_ranges,
            ungated=frozenset({NEVER, *self.gate.never, *filter(None, [own_namespace, database_namespace])}),
        )
