"""The HTTP API and, on the same addresses for people, the console.

A process of its own beside the controller (docs/adr/0017): it reads the state, asks devices only where somebody wants them read now, and
writes nothing but orders into clusters.
"""
