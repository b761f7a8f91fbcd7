"""Answers that are none, an environment that misleads the SDK, and whose account it is."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from adapters.aws import factory
from adapters.aws.known import Known
from adapters.aws.names import OBJECT, OWNER, Names
from adapters.aws.scope import V4, V6, Scope
from adapters.aws.values import PrefixList
from adapters.conformance.site import CART, objects
from bridge.errors import Busy, Denied
from bridge.lab.devices.aws.rig import AwsRig, aws_rig
from bridge.model.intent import EVERYTHING, Group, Intent
from bridge.model.plan import Fence
from bridge.policy.diff import diff, plan

FENCE = Fence(1, "installation-a")
WANTED = objects(Group(CART, frozenset({"10.0.0.1", "10.0.0.2"})))


@pytest.fixture
def rig() -> Iterator[AwsRig]:
    with aws_rig() as rig:
        yield rig


def _bring(rig: AwsRig) -> None:
    adapter = factory.open(rig.config())
    adapter.raise_fence(FENCE)
    have = adapter.read(EVERYTHING).objects
    want = Intent("edge", adapter.normalize(Intent("edge", WANTED)))
    adapter.apply(plan("edge", diff(have, want), have, adapter.capabilities, adapter.limits), FENCE)


class Interference:
    """Changes what the SDK is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from botocore.httpsession import URLLib3Session

        real = URLLib3Session.send
        self.change: Callable[[str], str] = str

        def send(session: Any, request: Any) -> Any:  # noqa: ANN401 - the SDK's own
            answer = real(session, request)
            answer.status_code, answer._content = 200, self.change(answer.content.decode()).encode()
            return answer

        monkeypatch.setattr(URLLib3Session, "send", send)


def test_what_is_no_answer_of_ec2_is_busy_or_says_nothing(rig: AwsRig, monkeypatch: pytest.MonkeyPatch) -> None:
    _bring(rig)
    rig.plant()
    before, interference, busy = dict(rig.contents()), Interference(monkeypatch), set()
    for leaf in ("version", "maxEntries", "cidr", "key", "fromPort"):
        for text in ("", f"<{leaf}/>", f"<{leaf}>odd</{leaf}>"):
            interference.change = partial(re.sub, f"<{leaf}>[^<]*</{leaf}>|<{leaf} */>", text)
            try:
                factory.open(rig.config()).read(EVERYTHING)
            except Busy:
                busy.add(leaf)
    assert busy == {"version", "maxEntries", "cidr", "key", "fromPort"}
    assert dict(rig.contents()) == before


def test_a_page_that_leads_to_itself_ends(rig: AwsRig, monkeypatch: pytest.MonkeyPatch) -> None:
    interference, pages = Interference(monkeypatch), list[str]()

    def again(body: str) -> str:
        token = "<nextToken>again</nextToken></DescribeManagedPrefixListsResponse>"
        pages.append(body.replace("</DescribeManagedPrefixListsResponse>", token))
        return pages[0]

    interference.change = again
    with pytest.raises(Busy, match="again and again"):
        factory.open(rig.config()).read(EVERYTHING)


@pytest.mark.parametrize(("name", "value"), [("AWS_PROFILE", "nobody"), ("AWS_DEFAULTS_MODE", "odd")])
def test_what_the_environment_says_to_the_sdk_may_stop_us_and_breaks_nothing(
    rig: AwsRig, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Denied, match="cannot be set up"):
        factory.open(rig.config()).read(EVERYTHING)


def test_a_list_that_another_account_shares_does_not_tell_whose_account_it_is() -> None:
    theirs = PrefixList("pl-1", "shared", V4, 1, 1, "create-complete", account="999999999999")
    known = Known(Names("fb"), Scope(), others=[theirs])
    assert known.account == ""
    known.register = PrefixList("pl-2", "fb/register", V6, 1, 1, "create-complete", account="111111111111")
    assert known.account == "111111111111"


def test_a_list_of_no_family_is_not_ours() -> None:
    assert Names("fb").key("fb/prod/service/shop/cart/ipv4", "", {OWNER: "fb", OBJECT: str(CART)}) is None
