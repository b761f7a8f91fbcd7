"""`db`, and what other commands say to a schema that is not theirs, with a URL and with an embedded database."""

from pathlib import Path

import yaml

from bridge.state.database import Database
from tests.cli.program import run
from tests.settings.files import GOOD


def test_on_a_url_only_the_command_migrates(empty_url: str, tmp_path: Path) -> None:
    env = {"FUSION_BRIDGE_DATABASE_URL": empty_url}
    head = Database(empty_url).head()
    assert run("db", "current", env=env).code == 1
    refused = run("status", env=env)
    assert (refused.code, refused.out) == (2, "")
    assert "run `fusion-bridge db upgrade`" in refused.err

    upgraded = run("db", "upgrade", "--output", "json", env=env)
    assert (upgraded.code, upgraded.json["current"]) == (0, head)
    assert upgraded.json["applied"][-1] == head
    again = run("db", "upgrade", "--output", "json", env=env).json
    assert again == {"applied": [], "current": head, "waiting": [], "heldUpBy": []}
    found = run("db", "current", "--output", "json", env=env).json
    assert found == {"current": head, "head": head, "waiting": {"pre": [], "post": []}, "problem": ""}
    assert run("status", env=env).code == 0


def test_a_database_that_is_away(tmp_path: Path) -> None:
    answer = run("status", env={"FUSION_BRIDGE_DATABASE_URL": f"postgresql://u:hunter2@/x?host={tmp_path}"})
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("fusion-bridge: the database cannot be used now")
    assert "hunter2" not in answer.err


def test_an_embedded_one_is_made_by_upgrade_and_not_by_looking(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    looked = run("status", "--data-dir", folder)
    assert looked.code == 1
    assert f"there is no state in {folder}" in looked.err
    assert not folder.exists()

    made = run("db", "upgrade", "--data-dir", folder)
    assert made.code == 0
    assert (folder / "postgres" / "data").is_dir()
    found = run("status", "--data-dir", folder, "--output", "json")
    assert (found.code, found.json["devices"]) == (0, [])
    assert run("db", "current", "--data-dir", folder).code == 0


def test_the_folder_may_stand_in_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "dataDir": "here"}))
    assert f"there is no state in {tmp_path / 'here'}" in run("status", "--config", path).err
    assert (
        f"there is no state in {tmp_path / 'there'}"
        in run("status", "--config", path, "--data-dir", tmp_path / "there").err
    )
