"""Gates: pods that wait until the firewalls know them (SEMANTICS 8), and the words that open one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.model.identity import ObjectKey

CONDITION: Final = "fusionbridge.io/programmed"
"""The condition of a pod; the readiness gate, and the annotation of pods that wait in an init container, are of the same name."""
WANTED: Final = "wanted"
"""What the annotation says."""
ENABLED: Final = ("fusionbridge.io/gate", "enabled")
"""The label of namespaces whose new pods the webhook gates."""
NEVER: Final = "kube-system"
"""Whose pods never wait, whatever anybody says."""
PATIENCE: Final = 60.0
"""Seconds after which a gate opens, whatever the firewalls do."""


class GateReason(StrEnum):
    """Why a gate is open, or why it is not."""

    PROGRAMMED = "Programmed"
    TIMED_OUT = "TimedOut"
    OPENED_BY_HAND = "OpenedByHand"
    NOT_GOVERNED = "NamespaceNotGoverned"
    NO_GROUP = "NoGroup"
    HOST_NETWORK = "HostNetwork"
    NEVER_GATED = "NeverGated"
    PENDING = "Pending"
    HELD = "Held"
    QUARANTINED = "Quarantined"
    WITHHELD = "Withheld"
    AWAITING_DEPLOY = "AwaitingDeploy"
    UNREACHABLE = "DeviceUnreachable"
    STOPPED = "DeviceStopped"
    CONFLICT = "AddressConflict"
    UNKNOWN = "NamespaceNotSeen"


MEANINGS: Final[Mapping[GateReason, str]] = {
    GateReason.PROGRAMMED: "every device in scope was seen to hold the pod's groups, and to have let go of what its address was before",
    GateReason.TIMED_OUT: "the time was over; the message says what was still missing, and a Warning Event tells it",
    GateReason.OPENED_BY_HAND: "a person would not wait: `fusion-bridge gate open`",
    GateReason.NOT_GOVERNED: "rules do not count in the pod's namespace",
    GateReason.NO_GROUP: "no device has a group that the pod is in, and none has yet to let go of its address",
    GateReason.HOST_NETWORK: "the pod uses the network of its node, where no device can tell it from others",
    GateReason.NEVER_GATED: "`kube-system`, the bridge and its database never wait",
    GateReason.PENDING: "a device has not confirmed the change yet",
    GateReason.HELD: "the change of this address waits for a person",
    GateReason.QUARANTINED: "the device refuses the group as it is to be",
    GateReason.WITHHELD: "nobody may join the group while a rule that takes precedence is not in force",
    GateReason.AWAITING_DEPLOY: "the device has stored the change and has not put it in force yet",
    GateReason.UNREACHABLE: "the device cannot be reached, or does not let the bridge in",
    GateReason.STOPPED: "nothing is written to the device until a person decides",
    GateReason.CONFLICT: "another pod holds the same address",
    GateReason.UNKNOWN: "the pod's namespace has not been seen yet",
}
"""What each says; those up to NeverGated are of gates that are open."""


def gated(gates: tuple[str, ...], annotations: Mapping[str, str]) -> bool:
    """Whether a pod of these readiness gates and annotations is to be told when the firewalls know it."""
    return CONDITION in gates or annotations.get(CONDITION) == WANTED


@dataclass(frozen=True, slots=True)
class Need:
    """A group that must have settled on every device before a gate opens, as far as one address goes.

    `joins`: the address is to be in it; else it is to be gone from it.
    """

    key: ObjectKey
    address: str
    joins: bool = True
