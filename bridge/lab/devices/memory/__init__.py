"""A device in memory, with its adapter: allow-only, as cloud security groups are, or an ordered list.

It is there so that every form of policy is proven before a device needs it, and stands in for one in tests: `memory_device(name)` is the
device that the settings call `memory://name`.
"""

from bridge.lab.devices.memory.adapter import MemoryAdapter, MemoryFactory
from bridge.lab.devices.memory.contents import AddressSet, Bundle, Contents, Entry, EntrySet, PortSet
from bridge.lab.devices.memory.device import MemoryDevice, memory_device

factory = MemoryFactory()

__all__ = [
    "AddressSet",
    "Bundle",
    "Contents",
    "Entry",
    "EntrySet",
    "MemoryAdapter",
    "MemoryDevice",
    "MemoryFactory",
    "PortSet",
    "factory",
    "memory_device",
]
