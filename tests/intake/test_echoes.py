"""What we write into the cluster comes back to us by its watches, and must move nothing: no compilation, no batch."""

import json
from typing import Any

import pytest

from bridge.cluster.decode import Codec
from bridge.model.observed import Change, Event, Resource
from tests.intake.fold import Bench
from tests.intake.objects import pod

US = {"manager": "fusion-bridge", "operation": "Apply", "time": "2026-05-01T00:00:00Z"}
RULE = {"service": "pay", "action": "Allow", "to": [{"name": "bank"}]}
BANK = {"addresses": ["192.0.2.1"], "ports": "Any"}


class Api:
    """Objects as the API serves them, each write with a version of its own."""

    def __init__(self) -> None:
        self._version = 100
        self._objects: dict[tuple[Resource, str], dict[str, Any]] = {}

    def write(self, resource: Resource, name: str, by: str = "ann", **parts: Any) -> Event:  # noqa: ANN401
        """Somebody writes these parts of an object."""
        self._version += 1
        found = self._objects.setdefault(
            (resource, name), {"metadata": {"name": name, "uid": f"uid-{resource}-{name}"}}
        )
        metadata = found["metadata"]
        if resource is not Resource.NAMESPACES:
            metadata["namespace"] = "shop"
        if "spec" in parts:
            metadata["generation"] = metadata.get("generation", 0) + 1
        metadata["resourceVersion"] = str(self._version)
        theirs = {"manager": by, "operation": "Update", "time": f"2026-04-01T00:00:{self._version - 100:02}Z"}
        ours = US if "status" not in parts else {**US, "subresource": "status"}
        metadata.setdefault("managedFields", []).append(ours if by == "fusion-bridge" else theirs)
        metadata.update(parts.pop("metadata", {}))
        found.update(parts)
        return self._event(resource, found)

    def tell(self, resource: Resource, name: str) -> Event:
        """We write status, or our annotation where there is no status of ours."""
        if resource in (Resource.NAMESPACES, Resource.SERVICES):
            known = self._objects[resource, name]["metadata"].get("annotations", {})
            told = {**known, "fusionbridge.io/status": f"Programmed at {self._version}"}
            return self.write(resource, name, "fusion-bridge", metadata={"annotations": told})
        conditions = [{"type": "Programmed", "status": "True", "message": str(self._version)}]
        return self.write(resource, name, "fusion-bridge", status={"conditions": conditions})

    def listed(self) -> list[Event]:
        """Everything as a list shows it now."""
        return [self._event(resource, found) for (resource, _), found in self._objects.items()]

    @staticmethod
    def _event(resource: Resource, found: dict[str, Any]) -> Event:
        line = json.dumps({"type": "MODIFIED", "object": found}).encode() + b"\n"
        (read,) = Codec(resource).lines(line)
        assert read.value is not None
        return Event(Change.UPSERT, resource, read.value)


TOLD = [
    (Resource.SERVICE_RULES, "pay-out"),
    (Resource.EXTERNAL_SERVICES, "bank"),
    (Resource.NAMESPACES, "shop"),
    (Resource.SERVICES, "pay"),
]


def _shop() -> tuple[Api, Bench]:
    api, bench = Api(), Bench()
    bench.take(
        [
            api.write(Resource.NAMESPACES, "shop", metadata={"labels": {"egress": "governed"}}),
            api.write(
                Resource.SERVICES,
                "pay",
                spec={"selector": {"app": "pay"}},
                metadata={"annotations": {"fusionbridge.io/address-group": "payments"}},
            ),
            api.write(Resource.EXTERNAL_SERVICES, "bank", spec=BANK),
            api.write(Resource.SERVICE_RULES, "pay-out", spec=RULE),
            Event(Change.UPSERT, Resource.PODS, pod("pay-1", "10.0.0.1")),
        ]
    )
    bench.commit()
    return api, bench


@pytest.mark.parametrize(("resource", "name"), TOLD)
def test_an_echo_moves_nothing(resource: Resource, name: str) -> None:
    api, bench = _shop()
    for _ in range(3):
        bench.take([api.tell(resource, name)])
        assert not bench.index.dirty.policy
        assert not bench.index.dirty.namespaces
        assert bench.commit().empty


def test_many_echoes_and_an_edit_among_them() -> None:
    api, bench = _shop()
    bench.take(
        [
            *(api.tell(*place) for place in TOLD),
            api.write(Resource.EXTERNAL_SERVICES, "bank", spec={**BANK, "addresses": ["192.0.2.7"]}),
            *(api.tell(*place) for place in TOLD),
        ]
    )
    batch = bench.commit()
    assert bench.record.destination("bank") == {"192.0.2.7"}
    assert [str(one.ref) for one in batch.verdicts] == ["ExternalService shop/bank"]
    assert [one.name for one in batch.objects] == ["bank"]
    assert [one.cause for one in batch.desired] == ["ExternalService shop/bank at 109 by ann"]


def test_an_edit_after_an_echo_and_an_echo_after_an_edit() -> None:
    api, bench = _shop()
    for last in (3, 4, 5):
        bench.take([api.tell(Resource.EXTERNAL_SERVICES, "bank")])
        assert bench.commit().empty
        bench.take([api.write(Resource.EXTERNAL_SERVICES, "bank", spec={**BANK, "addresses": [f"192.0.2.{last}"]})])
        assert bench.commit().verdicts
        assert bench.record.destination("bank") == {f"192.0.2.{last}"}


def test_an_edit_elsewhere_does_not_bring_echoes_to_light() -> None:
    api, bench = _shop()
    bench.take([api.tell(*place) for place in TOLD])
    bench.commit()
    bench.take([api.write(Resource.EXTERNAL_SERVICES, "other", spec=BANK)])
    assert [str(one.ref) for one in bench.commit().verdicts] == ["ExternalService shop/other"]


def test_after_a_restart_too() -> None:
    api, bench = _shop()
    bench.take([api.tell(*place) for place in TOLD])
    bench.commit()
    bench.restart()
    bench.take(api.listed())
    assert bench.commit().empty
    bench.take([api.tell(*place) for place in TOLD])
    assert bench.commit().empty
    bench.take([api.write(Resource.EXTERNAL_SERVICES, "bank", spec={**BANK, "addresses": ["192.0.2.7"]})])
    bench.commit()
    assert bench.record.destination("bank") == {"192.0.2.7"}


def test_people_still_move_what_we_annotated() -> None:
    api, bench = _shop()
    bench.take([api.tell(Resource.NAMESPACES, "shop")])
    bench.commit()
    bench.take([api.write(Resource.NAMESPACES, "shop", by="kubectl-label", metadata={"labels": {}})])
    batch = bench.commit()
    assert [one.reason for one in batch.verdicts] == ["NamespaceNotGoverned"]
    cause = "Namespace shop at 106 by kubectl-label"
    assert batch.desired_gone
    assert {batch.causes[key].partition(": ")[0] for _, key in batch.desired_gone} == {cause}
