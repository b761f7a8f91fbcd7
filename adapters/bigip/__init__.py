"""F5 BIG-IP AFM through iControl REST: groups as address lists, rules as rule lists, one policy for each context."""

from adapters.bigip.adapter import BigipAdapter, BigipFactory

factory = BigipFactory()

__all__ = ["BigipAdapter", "BigipFactory", "factory"]
