pytest_plugins = ["tests.control_plane.fixtures", "tests.state.fixtures"]
