"""The garbage collector, told what kind of process this is: hundreds of thousands of objects that stay, and few cycles."""

import gc


def relax() -> None:
    """Look at young objects less often, and at old ones hardly ever: a fleet being listed is all growth and no garbage."""
    gc.set_threshold(20_000, 50, 100)


def settle() -> None:
    """Leave out of every later pass what has been built by now: it lives as long as the process."""
    gc.collect()
    gc.freeze()
