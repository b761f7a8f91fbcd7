"""Freeze windows in the settings: both forms, every slip with its path, all at once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.model.policy import Day, Validity, Window
from bridge.settings.freezes import freezes
from tests.settings.files import changed, good, loaded, problems

OFFICE = {"name": "office", "days": ["Mon", "Tue"], "from": "08:00", "to": "18:00", "timezone": "Europe/Berlin"}
YEAR_END = {"name": "year end", "from": "2026-12-18T18:00:00+01:00", "to": "2027-01-04T08:00:00Z"}


def test_windows_of_all_devices_and_of_one(tmp_path: Path) -> None:
    raw = good() | {"delivery": {"freeze": [OFFICE]}}
    raw["devices"][0]["freeze"] = [YEAR_END]
    found = loaded(tmp_path, raw)
    (office,), (end,) = freezes(found.delivery.freeze), freezes(found.devices[0].freeze)
    window = Window(frozenset({Day.MON, Day.TUE}), 480, 1080, "Europe/Berlin")
    assert (office.name, office.times) == ("office", Validity(windows=frozenset({window})))
    moments = datetime(2026, 12, 18, 17, tzinfo=UTC), datetime(2027, 1, 4, 8, tzinfo=UTC)
    assert (end.name, end.times) == ("year end", Validity(*moments))


def test_a_time_that_yaml_takes_for_a_number_is_the_time(tmp_path: Path) -> None:
    """18:00 without quotes is 1080 in YAML 1.1."""
    path = tmp_path / "bridge.yaml"
    path.write_text("- {name: n, days: [Sat], from: 18:00, to: 09:00, timezone: UTC}")
    import yaml

    (typed,) = yaml.safe_load(path.read_text())
    assert typed["from"] == 1080
    found = loaded(tmp_path, good() | {"delivery": {"freeze": [typed]}})
    assert [one.begin for one in found.delivery.freeze] == ["18:00"]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({**OFFICE, "from": "8:00"}, "from must be a time such as 18:00 where days are named"),
        ({**OFFICE, "to": "24:00"}, "to must be a time such as 18:00 where days are named"),
        (
            {**OFFICE, "timezone": "Mars/Base"},
            "timezone must be UTC, or a name such as Europe/Berlin that is known here",
        ),
        ({**OFFICE, "timezone": None}, "timezone is required where days are named"),
        ({**OFFICE, "days": []}, "days must name at least one"),
        ({**OFFICE, "name": "-"}, "name must be 1 to 63 letters, digits, blanks, dots, hyphens or underscores"),
        ({**YEAR_END, "from": "2026-12-18T18:00"}, "from must be a moment with its offset"),
        ({**YEAR_END, "to": "2026-12-01T00:00:00Z"}, "to must be later than from"),
        ({**YEAR_END, "timezone": "UTC"}, "timezone belongs to days; a moment has its own offset"),
    ],
)
def test_a_slip_is_told_by_its_path(tmp_path: Path, window: dict[str, Any], words: str) -> None:
    found = problems(tmp_path, changed("delivery", {"freeze": [OFFICE, window]}))
    assert found.keys() == {"delivery.freeze[1]"}
    assert words in found["delivery.freeze[1]"]


def test_all_slips_are_told_at_once(tmp_path: Path) -> None:
    raw = changed("delivery", {"freeze": [{**OFFICE, "from": "8", "timezone": "here"}]})
    raw["devices"][0]["freeze"] = [{"name": "x", "begin": "now"}]
    found = problems(tmp_path, raw)
    assert found["delivery.freeze[0]"].count(";") == 1
    assert found["devices[0].freeze[0].begin"].startswith("is no setting here")
    assert found["devices[0].freeze[0].from"] == "is required"
