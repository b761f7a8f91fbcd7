"""F5 BIG-IP AFM: groups as address lists, rules as rule lists, one policy for each tier; through iControl REST, or its policies by AS3."""

from adapters.bigip.adapter import BigipAdapter
from adapters.bigip.as3 import As3Adapter, ModeFactory

factory = ModeFactory()

__all__ = ["As3Adapter", "BigipAdapter", "ModeFactory", "factory"]
