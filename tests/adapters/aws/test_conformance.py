"""AWS keeps the contract."""

from adapters.aws import factory
from adapters.conformance import Conformance
from bridge.lab.devices.aws.rig import aws_rig


class TestAws(Conformance):
    factory = factory
    rig = staticmethod(aws_rig)
    skips = frozenset({"atomic", "schedules", "limit rules"})
