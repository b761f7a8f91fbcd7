"""The program as such: options anywhere, one line for an error, the right exit code, and a quick start."""

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import __version__
from bridge.cli.adapters import InstalledAdapters, lab_device, lab_devices
from bridge.cli.errors import exit_code
from bridge.cli.main import app, hoisted
from bridge.cli.output import plain
from bridge.errors import (
    BridgeError,
    Busy,
    FencedOff,
    NotOwned,
    Refused,
    SchemaOutdated,
    SettingsError,
    StateUnavailable,
)
from tests.cli.program import run, start


def test_the_console_script() -> None:
    with start("version", env={**os.environ, "FUSION_BRIDGE_CONFIG": "/nowhere.yaml"}) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, f"fusion-bridge {__version__}\n", "")
    (script,) = entry_points(group="console_scripts", name="fusion-bridge")
    assert script.value == "bridge.cli.main:main"


def test_version_loads_nothing_heavy() -> None:
    program = (
        "import sys; from bridge.cli.main import app; app(['version'], standalone_mode=False);"
        "heavy = {'bridge.settings', 'bridge.state', 'sqlalchemy', 'structlog', 'kubernetes', 'rich', 'httpx', 'yaml', 'alembic'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[1] == "[]"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "json", "version"],
        ["version", "--output", "json"],
        ["version", "--output=json"],
        ["--log-level=debug", "version", "--output=json"],
    ],
)
def test_global_options_stand_anywhere(arguments: list[str]) -> None:
    assert run(*arguments).json == {"version": __version__}


def test_after_two_dashes_nothing_is_an_option() -> None:
    assert hoisted(["validate", "--", "--config", "x"]) == ["validate", "--", "--config", "x"]
    assert hoisted(["a", "--config"]) == ["--config", "a"]


@given(st.lists(st.sampled_from(["--config", "--output=json", "status", "x", "--", "--pods"]), max_size=6))
def test_hoisting_loses_nothing(arguments: list[str]) -> None:
    assert sorted(hoisted(arguments)) == sorted(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--output", "xml", "version"],
        ["validate"],
        ["lab", "cluster", "--port", "x"],
        ["config", "chekc"],
    ],
)
def test_usage_errors(arguments: list[str]) -> None:
    answer = run(*arguments)
    assert answer.code == 2
    assert "Error" in answer.err


@pytest.mark.parametrize("command", ["status", "plan", "report", "config check", "db current"])
def test_settings_errors_are_two(tmp_path: Path, command: str) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text("database: {pool: 3}\n")
    answer = run(*command.split(), "--config", path)
    assert (answer.code, answer.out) == (2, "")
    assert "database.pool: is no setting here; did you mean poolSize?" in answer.err
    assert "Traceback" not in answer.err
    assert "Traceback" in run(*command.split(), "--config", path, "--log-level", "debug").err


def test_exit_codes() -> None:
    assert [
        exit_code(error)
        for error in (
            SettingsError({"a": "b"}),
            SchemaOutdated("old"),
            Refused("not without you"),
            NotOwned("edge", ["x"]),
            FencedOff("edge", "epoch 7"),
            StateUnavailable("away"),
            Busy("edge", "later"),
            BridgeError("other"),
        )
    ] == [2, 2, 3, 3, 3, 1, 1, 1]


def test_every_command_explains_itself() -> None:
    for command in (
        "",
        "config",
        "db",
        "devices",
        "lab",
        "lab cluster",
        "lab device",
        "validate",
        "status",
        "report",
        "plan",
        "run",
        "demo",
    ):
        answer = run(*command.split(), "--help")
        assert answer.code == 0, command
        assert "Usage: " in answer.out
        assert "..." not in answer.out.partition("Commands:")[2]


def test_adapters_and_simulators_are_found_by_entry_point() -> None:
    assert InstalledAdapters().kinds == ("aws", "bigip", "fortigate", "memory", "nftables")
    assert InstalledAdapters().factory("bigip").kind == "bigip"
    assert "bigip" in lab_devices()
    with pytest.raises(SettingsError, match="no adapter for fortigat; there are aws, bigip"):
        InstalledAdapters().factory("fortigat")
    with pytest.raises(SettingsError, match="no simulator for toaster; there are aws, bigip, fortigate"):
        lab_device("toaster")


@given(st.text())
def test_nothing_that_is_printed_moves_a_terminal(text: str) -> None:
    assert plain(text).isprintable()


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    with start("config", "schema") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_schema_command_prints_json() -> None:
    assert json.loads(run("config", "schema").out)["title"] == "Fusion Bridge settings"
    assert app.info.name == "fusion-bridge"
