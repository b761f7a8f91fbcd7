"""A look at a gateway: its nft, what the kernel would take, and what we may there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from adapters.nftables import NftablesAdapter
from adapters.nftables.transport import Answer
from bridge.errors import Denied
from bridge.model.examination import Condition, Finding
from tests.adapters.nftables.machine import kernel, namespace, ruleset, script
from tests.adapters.nftables.rig import TABLE, config

_SAYS = {
    ("nft", "--version"): "nftables v1.0.9 (Old Doc Yak #3)\n",
    ("uname", "-sr"): "Linux 6.1.0\n",
    ("nft", "-jn", "list", "tables"): '{"nftables": [{"table": {"family": "ip", "name": "filter", "handle": 1}}]}',
    ("nft", "-c", "-j", "-f", "-"): "",
    ("id", "-u"): "990\n",
    ("conntrack", "--version"): "conntrack v1.4.7 (conntrack-tools)\n",
    ("test", "-w", "/etc/nftables.d"): "",
}


@dataclass
class Gateway:
    """A command line that knows some answers, and refuses the rest."""

    says: Mapping[tuple[str, ...], str] = field(default_factory=lambda: _SAYS)
    refuses: str = "Permission denied"
    calls: int = 0
    documents: list[bytes] = field(default_factory=list)

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        self.calls += 1
        self.documents.append(document)
        told = self.says.get(tuple(words))
        return Answer(1, b"", self.refuses) if told is None else Answer(0, told.encode(), "")


def look(gateway: Gateway, **scope: object) -> dict[str, Finding]:
    made, file = config(""), "/etc/nftables.d/fusion-bridge.nft"
    adapter = NftablesAdapter(replace(made, scope={**made.scope, "persist": file, **scope}), gateway)
    return {one.subject: one for one in adapter.examine()}


def without(*words: str, instead: str | None = None) -> Gateway:
    says = {key: value for key, value in _SAYS.items() if key != words}
    return Gateway(says if instead is None else {**says, words: instead})


def test_a_gateway_that_is_fit() -> None:
    gateway = Gateway()
    found = look(gateway)
    assert {one.condition for one in found.values()} == {Condition.OK}
    assert (found["version"].message, found["kernel"].message) == ("nft 1.0.9", "Linux 6.1.0")
    assert found["rights"].message == "user 990, without sudo"
    assert gateway.calls == len(_SAYS) + 1  # the kernel is asked twice


def test_root_may_more_than_is_needed() -> None:
    told = look(without("id", "-u", instead="0\n"))["rights"]
    assert (told.condition, "sudo is enough" in told.message) == (Condition.WARNING, True)
    assert look(Gateway(), sudo=True)["rights"].condition is Condition.OK


@pytest.mark.parametrize(
    ("says", "condition"),
    [("nftables v1.0.5 (Lester)", Condition.ERROR), ("nftables v0.9.8", Condition.ERROR), ("what?", Condition.WARNING)],
)
def test_an_nft_that_is_too_old(says: str, condition: Condition) -> None:
    assert look(without("nft", "--version", instead=says))["version"].condition is condition


def test_a_kernel_that_would_refuse_and_a_folder_that_cannot_be_written() -> None:
    gateway = without("nft", "-c", "-j", "-f", "-")
    gateway.refuses = "Error: No such file or directory"
    assert look(gateway)["writing"].condition is Condition.ERROR
    assert look(without("test", "-w", "/etc/nftables.d"))["persist"].condition is Condition.ERROR


def test_a_kernel_that_ends_no_rule_is_told_from_one_that_takes_none() -> None:
    found = look(Timeless())
    assert [found[one].condition for one in ("writing", "schedules")] == [Condition.OK, Condition.ERROR]
    assert "Operation not supported" in found["schedules"].message


class Timeless(Gateway):
    """An old kernel."""

    def run(self, words: Sequence[str], document: bytes = b"") -> Answer:
        answer = super().run(words, document)
        return Answer(1, b"", "Error: Operation not supported") if b'"time"' in document else answer


@kernel
@pytest.mark.parametrize("stands", [False, True])
def test_the_kernel_is_asked_and_nothing_is_changed(stands: bool) -> None:
    with namespace() as space:
        if stands:
            script(space, f"add table inet {TABLE}")
        before = ruleset(space)
        found = {one.subject: one.condition for one in NftablesAdapter(config(space)).examine()}
        assert (found["writing"], found["schedules"]) == (Condition.OK, Condition.OK)
        assert ruleset(space) == before


def test_without_conntrack_no_flow_can_be_closed() -> None:
    assert look(without("conntrack", "--version"))["flows"].condition is Condition.WARNING


def test_who_may_not_even_list_is_denied() -> None:
    with pytest.raises(Denied):
        look(without("nft", "-jn", "list", "tables"))
