"""Palisade firewalls for Fusion Bridge: an example of an adapter that is no part of it, with the simulator that it is proven on."""

from bridge.contract import AdapterFactory
from palisade.adapter import PalisadeFactory

factory: AdapterFactory = PalisadeFactory()

__all__ = ["factory"]
