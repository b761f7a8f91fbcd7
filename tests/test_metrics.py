"""The table of series: each is there from the start, and what labels can say is what the rest of the bridge says."""

import re
import uuid
from pathlib import Path

import yaml
from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import CheckConstraint

from bridge import errors, metrics
from bridge.state.desired import ObjectState
from bridge.state.tables import device, report


def _shown() -> dict[str, Metric]:
    """What a scrape holds, by the name of each family."""
    return {one.name: one for one in text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())}


def _value(series: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(f"{metrics.PREFIX}_{series}", labels)


def test_every_line_of_the_table_is_a_series_and_every_series_a_line() -> None:
    names = {one.name.removesuffix("_total"): one for one in metrics.TABLE}
    shown = {name: one for name, one in _shown().items() if name.startswith(metrics.PREFIX)}
    assert shown.keys() == names.keys()
    for name, one in names.items():
        assert (shown[name].type, shown[name].documentation) == (one.kind, one.text)
    assert len({one.name for one in metrics.TABLE}) == len(metrics.TABLE)


def test_a_process_tells_of_itself() -> None:
    assert {"process_resident_memory_bytes", "python_info", "python_gc_collections"} <= _shown().keys()


def test_asking_for_the_series_of_a_device_makes_all_of_them_at_zero() -> None:
    name = uuid.uuid4().hex
    metrics.device(name), metrics.cluster(name), metrics.watch(name, "pods"), metrics.tenure("device", name)
    found: dict[str, set[float]] = {}
    for family in _shown().values():
        for sample in family.samples:
            if name in sample.labels.values() and not sample.name.endswith(("_bucket", "_created")):
                found.setdefault(family.name, set()).add(sample.value)
    expected = {
        one.name.removesuffix("_total") for one in metrics.TABLE if {"device", "cluster", "role"} & set(one.labels)
    }
    assert found.keys() == expected
    assert all(values == {0.0} for values in found.values()), found
    assert metrics.device(name) is metrics.device(name)


def test_labels_say_what_the_bridge_says() -> None:
    reactions = {*errors.DeviceError.__subclasses__(), errors.FencedOff} - {errors.Unsupported}
    assert set(metrics.ERRORS) == {one.__name__ for one in reactions} | {"other"}
    assert set(metrics.OBJECT_STATES) == set(ObjectState)
    for table, column, words in ((device, "state", metrics.DEVICE_STATES), (report, "origin", metrics.ORIGINS)):
        (check,) = (one for one in table.constraints if one.name == f"ck_{table.name}_{column}")
        assert isinstance(check, CheckConstraint)
        assert set(re.findall("'(.*?)'", str(check.sqltext))) == set(words)


def test_operations_and_errors_are_counted_by_name() -> None:
    name = uuid.uuid4().hex
    series = metrics.device(name)
    series.operated("read", 0.5, 3)
    series.operated("read", 0.25, 0)
    series.failed(errors.Busy(name, "later"))
    series.failed(ValueError("a fault of ours"))
    assert _value("device_calls_total", device=name, operation="read") == 3
    assert _value("device_operation_seconds_sum", device=name, operation="read") == 0.75
    assert _value("device_errors_total", device=name, error="Busy") == 1
    assert _value("device_errors_total", device=name, error="other") == 1


def test_a_tenure_shows_its_epoch_while_it_is_held() -> None:
    name = uuid.uuid4().hex
    metrics.tenure("cluster", name).epoch(7)
    assert (_value("tenure_held", role="cluster", name=name), _value("epoch", role="cluster", name=name)) == (1, 7)
    metrics.tenure("cluster", name).epoch(None)
    assert (_value("tenure_held", role="cluster", name=name), _value("epoch", role="cluster", name=name)) == (0, 0)


def test_the_page_for_operators_has_the_table_and_the_alerts() -> None:
    root = Path(__file__).parents[1]
    page = (root / "docs" / "monitoring.md").read_text()
    table = [f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.text} |" for one in metrics.TABLE]
    assert [line for line in page.splitlines() if line.startswith("| `fusion_bridge_")] == table
    rules = yaml.safe_load((root / "config" / "monitoring" / "alerts.yaml").read_text())["groups"][0]["rules"]
    told = re.findall(r"^\| (FusionBridge\w+) \| (\w+) \|", page, re.MULTILINE)
    assert told == [(one["alert"], one["labels"]["severity"]) for one in rules]
