import os

from hypothesis import settings

pytest_plugins = ["tests.control_plane.fixtures", "tests.state.fixtures"]

# No deadlines: how long an example takes says more about the machine than about the code.
settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, max_examples=50)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")
