"""A stateful BIG-IP with AFM behind iControl REST. Start it with `simulator()`; `Bigip` has the controls."""

from bridge.lab.devices.bigip.answers import ApiError
from bridge.lab.devices.bigip.fields import Limits
from bridge.lab.devices.bigip.pair import Pair
from bridge.lab.devices.bigip.referee import Decision, Match, Packet, decide
from bridge.lab.devices.bigip.simulator import Bigip, simulator

__all__ = ["ApiError", "Bigip", "Decision", "Limits", "Match", "Packet", "Pair", "decide", "simulator"]
