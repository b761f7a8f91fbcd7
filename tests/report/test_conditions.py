"""Who a rule is about and when it counts, in words."""

import pytest

from bridge.model.policy import Day, Operator, Requirement, Selector, Source, SourceKind, Window
from bridge.report.conditions import source_words, window_words

WEB = Selector((Requirement("app", Operator.IN, ("web",)),))
MANY = Selector(
    (
        Requirement("debug", Operator.DOES_NOT_EXIST),
        Requirement("team", Operator.EXISTS),
        Requirement("tier", Operator.NOT_IN, ("a", "b")),
    )
)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source(SourceKind.CLUSTER), "the whole cluster"),
        (Source(SourceKind.CLUSTER, pods=WEB), "pods with app=web"),
        (Source(SourceKind.CLUSTER, namespaces=MANY), "pods of namespaces with !debug, team, tier not in (a, b)"),
        (Source(SourceKind.NAMESPACE, "shop"), "namespace shop"),
        (Source(SourceKind.NAMESPACE, "shop", pods=WEB), "pods with app=web of namespace shop"),
        (
            Source(SourceKind.NAMESPACE, "shop", service_accounts=("shop/a", "shop/b")),
            "namespace shop running as shop/a, shop/b",
        ),
        (Source(SourceKind.SERVICE, "shop", "web"), "service shop/web"),
        (Source(SourceKind.ANNOTATION, "shop", "pay"), "annotation group shop/pay"),
        (Source(SourceKind.PREFIXES, "shop", prefixes=("10.1.0.0/24",)), "namespace shop (10.1.0.0/24)"),
        (Source(SourceKind.BUILTIN, service="exempt"), "workloads that are not governed"),
        (
            Source(SourceKind.SERVICE, "shop", "web", also=(Source(SourceKind.CLUSTER, pods=WEB),)),
            "service shop/web who are also pods with app=web",
        ),
    ],
)
def test_sources(source: Source, words: str) -> None:
    assert source_words(source) == words


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("Mon Tue Wed Thu Fri", "Mon-Fri"),
        ("Sat Sun", "Sat,Sun"),
        ("Mon Wed Thu Fri Sun", "Mon,Wed-Fri,Sun"),
        ("Tue", "Tue"),
    ],
)
def test_windows(days: str, words: str) -> None:
    window = Window(frozenset(Day(one) for one in days.split()), 8 * 60, 18 * 60 + 5, "Europe/Berlin")
    assert window_words(window) == f"{words} 08:00-18:05 Europe/Berlin"
