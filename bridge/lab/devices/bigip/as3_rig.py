"""A simulated BIG-IP with AS3 in the hands of the conformance suite."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bridge.contract import DeviceConfig
from bridge.lab.device import Moment
from bridge.lab.devices.bigip.rig import BigipMoment, BigipRig
from bridge.lab.devices.bigip.simulator import Bigip

_SERVICE: dict[str, Any] = {
    "class": "Service_Forwarding",
    "forwardingType": "ip",
    "virtualAddresses": ["0.0.0.0"],
    "virtualPort": 0,
    "layer4": "any",
    "snat": "none",
}
_VIRTUAL = "/fb_egress/firewall/egress"


class As3Moment(BigipMoment):
    """The configuration after one of its changes."""

    virtual = _VIRTUAL  # without one nothing is matched


class As3Rig(BigipRig):
    """The controls of one simulator, in the suite's words."""

    way = "/mgmt/"  # AS3 stands beside tm; logins are disturbed too

    def config(self, *, owner: str = "fb", batch: int | None = None, timeout: float = 10.0) -> DeviceConfig:
        """The first owner attached to a virtual server of its own tenant."""
        plain = super().config(owner=owner, batch=batch, timeout=timeout)
        attach = {"mode": "ifEmpty", "services": {"egress": _SERVICE}} if owner == "fb" else {"mode": "none"}
        return replace(plain, scope={**plain.scope, "mode": "as3"}, attach=attach)

    def moments(self) -> Sequence[Moment]:
        """The states are made when they are asked for."""
        return [As3Moment(self.device, number) for number in self.numbers()]


@contextmanager
def as3_rig() -> Iterator[As3Rig]:
    """A rig around a simulator that runs as long as the context."""
    with Bigip(tls=False, keep=2_000) as device:
        yield As3Rig(device)
