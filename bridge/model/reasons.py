"""The words of status: every reason that a condition, a device's line, an Event or a report can give, and what a person does about it.

One table, so that feedback, reports, metrics and documents say the same; a later reason is a line here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """SEMANTICS 9, and what else happens to an object before it is in force."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"
    NAMESPACE_NOT_GOVERNED = "NamespaceNotGoverned"
    DOUBTED = "Doubted"
    LET_GO = "LetGo"
    UNSUPPORTED = "Unsupported"
    OVER_BROAD = "OverBroad"
    PROGRAMMED = "Programmed"
    NOT_ACCEPTED = "NotAccepted"
    NOT_USED = "NotUsed"
    NO_DESTINATION = "NoDestination"
    NO_DEVICE = "NoDevice"
    NOT_YET = "NotYet"
    EXPIRED = "Expired"
    OUTSIDE_WINDOW = "OutsideWindow"
    PENDING = "Pending"
    HELD = "Held"
    QUARANTINED = "Quarantined"
    NOT_ATTACHED = "NotAttached"
    AWAITING_DEPLOY = "AwaitingDeploy"
    WITHHELD = "Withheld"
    DEVICE_UNREACHABLE = "DeviceUnreachable"
    HOST_NETWORK = "HostNetwork"
    ADDRESS_CONFLICT = "AddressConflict"
    OUTSIDE_POD_RANGES = "OutsidePodRanges"


RESTING = frozenset({Reason.NOT_YET, Reason.EXPIRED, Reason.OUTSIDE_WINDOW})
"""Accepted, and not in force because of the time."""

LACKING = frozenset({Reason.UNSUPPORTED, Reason.OVER_BROAD})
"""Accepted as read, and not in force as written on every device: the device's line says where, and why."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason says, what to do about it ("" when nothing), and whether an Event tells it to people."""

    text: str
    remedy: str = ""
    event: bool = False


MEANINGS: Mapping[Reason, Meaning] = {
    Reason.ACCEPTED: Meaning("the object is valid, and taken as written"),
    Reason.INVALID: Meaning("the object cannot be taken as written", "correct what the message names", event=True),
    Reason.NAMESPACE_NOT_GOVERNED: Meaning(
        "rules count in governed namespaces only",
        "ask the platform team to label the namespace as the bridge's governed.namespaceSelector says",
        event=True,
    ),
    Reason.DOUBTED: Meaning(
        "much of the cluster's policy is missing from its lists, and nobody saw it deleted: it stays in force",
        "if it is there, see that the API server lists it; if it was deleted, `fusion-bridge confirm cluster NAME --policy`",
    ),
    Reason.LET_GO: Meaning("a person says that it was deleted, and it goes from its devices"),
    Reason.UNSUPPORTED: Meaning(
        "a device in scope cannot express it",
        "write it in terms that the device takes, or name other devices in spec.devices",
        event=True,
    ),
    Reason.OVER_BROAD: Meaning(
        "the device sees an address that others share, whom the rule would be about too",
        "let all who are named be in the source, or set acceptShared: true",
        event=True,
    ),
    Reason.PROGRAMMED: Meaning("every device in scope was seen to hold it"),
    Reason.NOT_ACCEPTED: Meaning("nothing of it is in force: no version of it is accepted", "see condition Accepted"),
    Reason.NOT_USED: Meaning(
        "no device holds it, because no rule in force there names it", "name it in a rule's spec.to"
    ),
    Reason.NO_DESTINATION: Meaning(
        "nothing of it reaches the device, which decides only about what leaves the cluster",
        "name a destination outside the cluster",
        event=True,
    ),
    Reason.NO_DEVICE: Meaning(
        "no device is in its scope",
        "name devices in spec.devices that serve this cluster and namespace, or leave spec.devices out",
        event=True,
    ),
    Reason.NOT_YET: Meaning("the rule is accepted, and its time has not come"),
    Reason.EXPIRED: Meaning(
        "the rule's time is over, and it goes from its devices", "delete the rule, or set a later spec.notAfter"
    ),
    Reason.OUTSIDE_WINDOW: Meaning("the rule counts in its windows only, and now is outside of them"),
    Reason.PENDING: Meaning("a change has not reached the device yet"),
    Reason.HELD: Meaning(
        "part of a change waits, for a person or for the end of a freeze",
        "ask the security team to look at `fusion-bridge held` and decide",
        event=True,
    ),
    Reason.QUARANTINED: Meaning(
        "the device refused it; its last good version stays",
        "correct what the device's words name; it is tried again after an edit and with each audit",
        event=True,
    ),
    Reason.NOT_ATTACHED: Meaning(
        "the device holds it, but its policy is not reachable from an enforced one",
        "ask the device's owner to attach it by the line in the message",
        event=True,
    ),
    Reason.AWAITING_DEPLOY: Meaning("the device has stored it and has not put it in force yet"),
    Reason.WITHHELD: Meaning(
        "a rule that takes precedence is not in force on the device, so this Allow is not either",
        "put right the rule that the message names",
        event=True,
    ),
    Reason.DEVICE_UNREACHABLE: Meaning(
        "the device cannot be reached or does not let the bridge in; changes wait",
        "nothing on this object: whoever runs the bridge sees the device's words in `fusion-bridge status`",
    ),
    Reason.HOST_NETWORK: Meaning(
        "the pod uses the network of its node, so no device can tell it from whatever else runs there, and rules do not reach it",
        "give the pod a network of its own (hostNetwork: false); what leaves by the address of a node is for the firewall's own rules",
        event=True,
    ),
    Reason.ADDRESS_CONFLICT: Meaning(
        "another pod holds the same address, and what comes from there counts as the other's",
        "delete one of the two pods; if it happens again, ask the platform team to look at the address allocation",
        event=True,
    ),
    Reason.OUTSIDE_POD_RANGES: Meaning(
        "the pod's address is outside the pod ranges that the bridge's settings declare, so it becomes a member of nothing",
        "ask whoever runs the bridge to add the range to podRanges of the cluster, or the platform team why the pod got this address",
        event=True,
    ),
}
