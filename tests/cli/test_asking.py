"""What `who` and `history` make of careless words."""

from datetime import UTC, datetime

import pytest
import typer

from bridge.cli.history import PAGE, again
from bridge.cli.who import time_of
from bridge.model.observed import Node
from bridge.state.batch import Batch, LeaseStart
from tests.cli.program import Answer, run
from tests.cli.site import RULES, SOURCE, Site
from tests.state.builders import at, pod

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize("words", ["", " ", "-5m"])
def test_an_empty_time_is_not_now(words: str) -> None:
    assert time_of(None, NOW, "--at") == NOW
    with pytest.raises(typer.BadParameter, match="is no time"):
        time_of(words, NOW, "--at")


def test_the_command_for_the_next_page_asks_the_same() -> None:
    assert again(None, PAGE, None) == ""
    assert again("2026-11-23 10:00", 5, "east") == " --since '2026-11-23 10:00' --limit 5 --cluster east"


def asked(site: Site, *words: str) -> Answer:
    """`who` or `history` with these words."""
    return run(*words, "--config", site.config)


def test_an_address_of_a_node_is_not_said_to_be_nobodys(site: Site) -> None:
    site.stores.commit(Batch(at(0), objects=[Node("uid-n1", "n1", "1", {}, ("192.0.2.7",))]))
    node, other = (asked(site, "who", address) for address in ("192.0.2.7", "192.0.2.8"))
    outside = "east: not an address of pods: outside the pod ranges of cluster east"
    assert (node.code, node.out.splitlines()[1]) == (1, f"{outside}; address of node n1")
    assert (other.code, other.out.splitlines()[1]) == (1, outside)
    (told,) = asked(site, "who", "192.0.2.7", "--output", "json").json["answers"]
    assert told["verdict"] == "outside"
    site.config.write_text(site.config.read_text().replace("podRanges", "pods"))
    assert "unknown: " in asked(site, "who", "192.0.2.7").out, "without ranges the record alone speaks"


def test_objects_by_the_names_in_reports_and_in_the_console(site: Site) -> None:
    site.desire("10.64.0.1")
    site.deliver()
    for words, subject in (
        ("external service shop/bank", "group:east/external/shop/bank"),
        ("service shop/paymentservice", str(SOURCE)),
        ("shop/paymentservice", str(SOURCE)),
        ("service rules of shop", str(RULES)),
        ("/Common/acme/acme_east_service_shop", str(RULES)),
        ("acme_east_external_shop_bank.tcp", "ports:east/external/shop/bank.tcp"),
    ):
        found = asked(site, "history", words, "--output", "json")
        assert (found.code, found.json["subject"], bool(found.json["rows"])) == (0, subject, True), words
    for words in ("shop/cart", "/Common/acme/our-own"):
        unknown = asked(site, "history", words)
        assert unknown.code == 1
        assert f"nothing is recorded of {words}; write an address, pod/NAMESPACE/NAME" in unknown.err


def test_a_place_before_the_first_row_is_refused(site: Site) -> None:
    site.desire("10.64.0.1")
    site.deliver()
    site.stores.commit(Batch(at(100), leases=[LeaseStart("10.64.0.1", pod("web-0"))]))
    for words in ("device/edge", "pod/shop/web-0", "uid/uid-web-0", str(SOURCE), str(RULES), "10.64.0.1"):
        assert asked(site, "history", words).code == 0, words
        wrong = asked(site, "history", words, "--page", "-1")
        assert wrong.code == 2, words
        assert "is no place" in wrong.err
