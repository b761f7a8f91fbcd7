"""A stateful AWS EC2 (security groups and managed prefix lists) behind EC2's API. Start it with `simulator()`; `Aws` has the controls.

moto does the wire format and keeps the objects; what moto accepts and AWS refuses is refused before it. Needs the extra `lab-aws`.
"""

from bridge.lab.devices.aws.answers import Refusal
from bridge.lab.devices.aws.limits import Limits
from bridge.lab.devices.aws.referee import Decision, Packet
from bridge.lab.devices.aws.simulator import Aws, simulator

__all__ = ["Aws", "Decision", "Limits", "Packet", "Refusal", "simulator"]
