import os
import secrets
from collections.abc import Iterator
from pathlib import Path

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


# What takes longest by itself begins first, or all others wait for it at the end.
_LONGEST = (
    "test_survival",
    "test_replicas",
    "test_console_browser",
    "test_devices_unlike",
    "test_reports",
    "test_loss",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Modules in turns, so that those that mostly wait (the program, real devices) run beside those that mostly compute."""
    yield
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    waiting = sorted(
        (path for path in modules if path.parent.name == "acceptance"), key=lambda path: path.stem not in _LONGEST
    )
    others = [path for path in modules if path.parent.name != "acceptance"]
    turns = {path: (place + 1) / len(some) for some in (waiting, others) for place, path in enumerate(some)}
    items[:] = [item for path in sorted(modules, key=lambda path: turns[path]) for item in modules[path]]


def pytest_report_header() -> str:
    """By which a run is repeated."""
    return f"seed: {_SEED}={os.environ[_SEED]}"
