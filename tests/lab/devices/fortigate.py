"""A client of the FortiGate simulator that knows nothing but HTTP and JSON."""

import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from bridge.lab.devices.fortigate import Fortigate

ADDRESS, GROUP, POLICY = "cmdb/firewall/address", "cmdb/firewall/addrgrp", "cmdb/firewall/policy"
FEED, PUSH, ENTRIES = (
    "cmdb/system/external-resource",
    "monitor/system/external-resource/dynamic",
    "monitor/system/external-resource/entry-list",
)
SERVICE = "cmdb/firewall.service/custom"


@dataclass(frozen=True, slots=True)
class Told:
    """What came back."""

    status: int
    body: Any

    @property
    def error(self) -> int | None:
        """The number of the refusal."""
        found = self.body.get("error")
        return int(found) if found is not None else None

    @property
    def results(self) -> Any:  # noqa: ANN401 - JSON
        return self.body["results"]


class Api:
    """Calls with the box's token, and shorthands for what tests need most."""

    def __init__(self, box: Fortigate, token: str | None = None) -> None:
        verify = ssl.create_default_context(cafile=box.ca) if box.ca else False
        headers = {"Authorization": f"Bearer {token or box.password}"}
        self.http = httpx.Client(base_url=f"{box.url}/api/v2/", headers=headers, verify=verify, timeout=5)

    def call(self, method: str, path: str, body: object = None, **more: Any) -> Told:  # noqa: ANN401
        answer = self.http.request(method, path, json=body, **more)
        return Told(answer.status_code, answer.json())

    def get(self, path: str, **more: Any) -> Told:  # noqa: ANN401
        return self.call("GET", path, **more)

    def post(self, path: str, body: object, **more: Any) -> Told:  # noqa: ANN401
        return self.call("POST", path, body, **more)

    def put(self, path: str, body: object = None, **more: Any) -> Told:  # noqa: ANN401
        return self.call("PUT", path, body, **more)

    def delete(self, path: str, **more: Any) -> Told:  # noqa: ANN401
        return self.call("DELETE", path, **more)

    def address(self, *names: str) -> None:
        """Hosts of 10.0.0.0/24, numbered in their order."""
        for number, name in enumerate(names, start=1):
            made = self.post(ADDRESS, {"name": name, "subnet": f"10.0.0.{number}/32"})
            assert made.status == 200, made

    def group(self, name: str, *members: str) -> Told:
        return self.post(GROUP, {"name": name, "member": named(*members)})

    def feed(self, name: str, **more: Any) -> Told:  # noqa: ANN401
        plain = {"name": name, "type": "address", "update-method": "push", "resource": "https://bridge.invalid/feed"}
        return self.post(FEED, plain | more)

    def push(self, command: str, name: str, *entries: str, **more: Any) -> Told:  # noqa: ANN401
        return self.post(PUSH, {"commands": [{"name": name, "command": command, "entries": list(entries)}]}, **more)

    def policy(self, **more: Any) -> Told:  # noqa: ANN401
        return self.post(POLICY, rule(**more))


def named(*names: str) -> list[dict[str, str]]:
    """A list as the API takes it."""
    return [{"name": name} for name in names]


def rule(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A policy that lets everything through; underscores in the names of attributes stand for dashes."""
    plain: dict[str, Any] = {
        "srcintf": named("any"),
        "dstintf": named("any"),
        "srcaddr": named("all"),
        "dstaddr": named("all"),
        "service": named("ALL"),
        "schedule": "always",
        "action": "accept",
    }
    return plain | {name.replace("_", "-"): value for name, value in more.items()}
