"""Palisade firewalls for Fusion Bridge: an example of an adapter that is no part of it, with the simulator that it is proven on."""

from palisade.adapter import PalisadeFactory

factory = PalisadeFactory()

__all__ = ["factory"]
