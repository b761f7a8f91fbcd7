"""What is declared, beside F5's own schema of AS3 3.56.0; skipped by name where that is absent."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.bigip import factory, protocols
from adapters.bigip.as3_declare import Words, attachments
from adapters.bigip.as3_scope import As3Scope
from adapters.bigip.names import DECLARED, Names
from adapters.conformance.site import Terms
from bridge.contract import DeviceConfig
from bridge.model.identity import Kind
from bridge.model.intent import Intent
from bridge.model.plan import Op, Step
from bridge.model.policy import Protocol
from tests.adapters.bigip.site import Secrets
from tests.lab.devices import as3

SERVICE: dict[str, Any] = {
    "class": "Service_Forwarding",
    "forwardingType": "ip",
    "virtualAddresses": ["192.0.2.0/24"],
    "virtualPort": 0,
}
CONFIG = DeviceConfig(
    "edge",
    "bigip",
    "https://192.0.2.10",
    "fb",
    Secrets({}),
    {"mode": "as3"},
    {"mode": "ifEmpty", "services": {"egress": SERVICE}},
)
SCOPE = As3Scope.of(CONFIG)
WORDS = Words(Names("fb", SCOPE.tenant), SCOPE)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_site_is_a_declaration_that_f5_takes(data: st.DataObject) -> None:
    judge = as3.needed()
    site = data.draw(Terms.of(factory.capabilities(CONFIG)).rich())
    made = factory.open(CONFIG).normalize(Intent("edge", site))
    assert attachments(made, SCOPE).keys() <= made.keys()
    steps = [
        Step(Op.CREATE, key, None, value) for key, value in made.items() if key.kind in (*DECLARED, Kind.ATTACHMENT)
    ]
    body = WORDS.declaration(WORDS.edited({}, steps), {}, "a key")
    for action in ("deploy", "dry-run"):
        assert judge({"class": "AS3", "action": action, "persist": False, "declaration": body}) == []


def test_an_empty_tenant_is_a_declaration_that_f5_takes() -> None:
    body = WORDS.declaration({}, {}, "")
    assert as3.needed()({"class": "AS3", "action": "deploy", "persist": False, "declaration": body}) == []


@pytest.mark.parametrize("protocol", list(Protocol))
def test_every_protocol_that_is_taken_has_a_name_of_f5s(protocol: Protocol) -> None:
    judge = as3.needed()
    numbers = range(1, 255) if protocol is Protocol.OTHER else [0]
    names = [name for number in numbers if (name := protocols.named(protocol, number))]
    assert names
    rules = [{"name": f"r{at}", "action": "drop", "protocol": name} for at, name in enumerate(names)]
    body = WORDS.declaration({"fb_x": {"class": "Firewall_Rule_List", "rules": rules}}, {}, "")
    assert judge(body) == []
    rules.append({"name": "odd", "action": "drop", "protocol": "200"})
    assert judge(body), "the schema judges nothing"
