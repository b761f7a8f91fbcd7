"""The suite that every adapter passes: bind it in about ten lines, and run it with pytest (extra `conformance`).

    from adapters.conformance import Conformance

    class TestMine(Conformance):
        factory = factory                        # what the adapter's entry point names
        rig = staticmethod(my_rig)               # a context manager that lends a device: see bridge.lab.device.Rig
        skips = frozenset({"limit groups"})      # what the device does not declare, and nothing else

What it checks, and how to write a rig, is in docs/conformance.md.
"""

import pytest

_CHECKS = (
    *("applying", "bench", "between", "examining", "flowing", "forms"),
    *("limits", "ownership", "permits", "stopping", "suite", "troubles"),
)
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _CHECKS))

# After the line above, so that a failed check shows its values.
from adapters.conformance.suite import Conformance  # noqa: E402

__all__ = ["Conformance"]
