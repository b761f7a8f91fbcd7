"""FortiGate through the REST API of FortiOS: groups as address groups, ports as services, and on demand rules as a block of policies."""

from adapters.fortigate.adapter import FortigateAdapter, FortigateFactory

factory = FortigateFactory()

__all__ = ["FortigateAdapter", "FortigateFactory", "factory"]
