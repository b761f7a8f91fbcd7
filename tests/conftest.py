import os
import secrets

import pytest
from hypothesis import settings

pytest_plugins = ["tests.control_plane.fixtures", "tests.state.fixtures"]

# No deadlines: how long an example takes says more about the machine than about the code.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, max_examples=50)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")

_SEED = "BRIDGE_TEST_SEED"


def pytest_configure(config: pytest.Config) -> None:
    """One seed for all processes of a run, another for each run, and always the same on CI."""
    del config
    os.environ.setdefault(_SEED, "1" if os.environ.get("CI") == "true" else str(secrets.randbelow(2**32)))


def pytest_report_header() -> str:
    """By which a run is repeated."""
    return f"seed: {_SEED}={os.environ[_SEED]}"
