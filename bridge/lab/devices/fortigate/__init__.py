"""A stateful FortiGate behind FortiOS's REST API. Start it with `simulator()`; `Fortigate` has the controls."""

from bridge.lab.devices.fortigate.answers import FortiError
from bridge.lab.devices.fortigate.conduct import Conduct, Limits
from bridge.lab.devices.fortigate.referee import Court, Decision, Packet
from bridge.lab.devices.fortigate.simulator import Fortigate, simulator
from bridge.lab.devices.fortigate.tokens import ApiUser

__all__ = ["ApiUser", "Conduct", "Court", "Decision", "FortiError", "Fortigate", "Limits", "Packet", "simulator"]
