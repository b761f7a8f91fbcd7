"""The simulated FortiGate against descriptions that nobody here wrote: Fortinet's Swagger, and the fields of the Terraform provider.

The first is of 6.4.14 and comes with the package fortigate-api, the second lies beside the checkout; each is skipped by name
where it is absent.
"""

import importlib.util
import json
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.devices.fortigate import FortiError, Fortigate
from bridge.lab.devices.fortigate.conduct import Limits
from bridge.lab.devices.fortigate.tables import TABLES
from tests.lab.devices.fortigate import ENTRIES, Api

FIELDS = Path(__file__).parents[4] / "shared" / "device-data" / "fortios-field-limits.json"
DESCRIBED = (
    "firewall/address",
    "firewall/address6",
    "firewall/addrgrp",
    "firewall/addrgrp6",
    "firewall/policy",
    "firewall/security-policy",
    "firewall.service/custom",
    "firewall.service/group",
    "firewall.schedule/onetime",
    "firewall.schedule/recurring",
    "system/external-resource",
)
YOUNGER = {
    "system/external-resource": {"uuid", "update-method", "server-identity-check", "interface-select-method"},
    "firewall.service/custom": {"uuid", "udplite-portrange"},
    "firewall.service/group": {"uuid"},
    "firewall/policy": {"srcaddr6-negate", "dstaddr6-negate", "label", "global-label"},
    "firewall/addrgrp": {"category", "fabric-object"},
    "firewall/addrgrp6": {"type", "category", "exclude", "exclude-member", "allow-routing", "fabric-object"},
    "firewall/address6": {"fabric-object"},
}
"""Attributes that 6.4 did not have, or not there."""
LONGER = {("system/external-resource", "user-agent")}
"""Attributes that grew since 6.4."""


@cache
def bundled(part: str, topic: str) -> Any:  # noqa: ANN401 - JSON
    """One file of the Swagger that fortigate-api brings along."""
    found = importlib.util.find_spec("fortigate_api")
    if found is None or not found.submodule_search_locations:
        pytest.skip("fortigate-api is not installed")
    folder = Path(found.submodule_search_locations[0]) / "schema" / "6.4.14"
    with zipfile.ZipFile(folder / f"{part}.zip") as archive:
        name = next(one for one in archive.namelist() if one.endswith(f" API {topic}.json"))
        return json.loads(archive.read(name))


def properties(path: str) -> dict[str, Any]:
    topic = re.split("[./]", path)[0]
    body = bundled("cmdb", topic)["paths"][f"/{path}"]["post"]["parameters"][0]
    found: dict[str, Any] = body["schema"]["properties"]
    return found


@pytest.mark.parametrize("path", DESCRIBED)
def test_attributes_are_fortinet_s(path: str) -> None:
    held = set(TABLES[path].fields) | ({"uuid"} if TABLES[path].uuid else set())
    assert held - properties(path).keys() <= YOUNGER.get(path, set())


@pytest.mark.parametrize("path", DESCRIBED)
def test_lengths_and_ranges_are_fortinet_s(path: str) -> None:
    table, limits = TABLES[path], Limits()
    for name, told in properties(path).items():
        if name == table.mkey == "name":
            assert table.longest == told["maxLength"], path
        field = table.fields.get(name)
        if field is None or field.listed or field.tables or (path, name) in LONGER:
            continue
        if told.get("maxLength") and not told.get("enum"):
            taken, refused = "a" * told["maxLength"], "a" * (told["maxLength"] + 1)
            if _takes(field, taken, limits) is not None:
                assert _takes(field, refused, limits) is None, (path, name)
        if told.get("maximum") is not None and told["maximum"] < 2**32 - 1:
            assert _takes(field, told["maximum"], limits) == told["maximum"], (path, name)
            assert _takes(field, told["maximum"] + 1, limits) is None, (path, name)
        for option in told.get("enum", ()) if name not in ("type", "protocol", "day", "sub-type") else ():
            assert _takes(field, option, limits) == option, (path, name, option)


def _takes(field: Any, value: object, limits: Limits) -> Any:  # noqa: ANN401
    try:
        return field.parse("it", value, limits)
    except FortiError:
        return None


def test_members_are_fortinet_s() -> None:
    limits = Limits()
    assert properties("firewall/addrgrp")["member"]["maxItems"] == limits.members
    assert properties("firewall.service/group")["member"]["maxItems"] == limits.service_members


def test_monitor_answers_have_fortinet_s_shape(box: Fortigate, api: Api) -> None:
    sessions = bundled("monitor", "firewall")["paths"]["/firewall/session"]["get"]["responses"]["200"]["schema"]
    box.sessions.add("10.0.0.1", "192.0.2.1", port=443)
    told = api.get("monitor/firewall/session", params={"count": 20, "summary": "true"}).results
    _conforms(told, sessions)
    pages = bundled("monitor", "system")["paths"]
    api.feed("f")
    api.push("add", "f", "10.0.0.1", "x")
    entries = api.get(ENTRIES, params={"mkey": "f", "include_notes": "true"}).results
    _conforms(entries, pages["/system/external-resource/entry-list"]["get"]["responses"]["200"]["schema"])
    box.pair()
    sums = json.loads(api.http.get("monitor/system/ha-checksums").text.replace("_primary", "_master"))[
        "results"
    ]  # as 6.4 says
    _conforms(sums, pages["/system/ha-checksums"]["get"]["responses"]["200"]["schema"])
    status = api.get("monitor/system/status").results
    _conforms(status, pages["/system/status"]["get"]["responses"]["200"]["schema"])


def _conforms(told: object, schema: Any) -> None:  # noqa: ANN401
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft4Validator(schema).validate(told)


@pytest.mark.skipif(not FIELDS.exists(), reason="the field table of the Terraform provider is not beside this checkout")
def test_lengths_are_the_provider_s() -> None:
    resources = json.loads(FIELDS.read_text())["resources"]
    compared = 0
    for path, table in TABLES.items():
        described = resources.get(path.replace("/", "."), {})
        for name, told in described.items():
            field = table.fields.get(name.replace("_", "-"))
            if field is None or field.tables or not told.get("maxlen") or told.get("children"):
                continue
            compared += 1
            taken = _takes(field, "a" * told["maxlen"], Limits())
            assert taken is None or _takes(field, "a" * (told["maxlen"] + 1), Limits()) is None, (path, name)
    assert compared > 20
