"""Groups as a person reads them: whom they mean, as the device sees it, and how they were made of others."""

import pytest

from bridge.model.identity import Kind, ObjectKey, Scope
from bridge.report.naming import title


@pytest.mark.parametrize(
    ("scope", "place", "name", "words"),
    [
        (Scope.SERVICE, "shop", "web", "service shop/web"),
        (Scope.SERVICE, "shop", "web-.node", "service shop/web (as Node)"),
        (Scope.NAMESPACE, "shop", "-.node", "namespace shop (as Node)"),
        (Scope.SERVICE, "shop", "web-.egress.edge-1.2", "service shop/web (as Egress 2 of edge-1)"),
        (Scope.BUILTIN, "", "exempt-.edge", "workloads that are not governed (on edge)"),
        (Scope.BUILTIN, "", "governed-.node-.edge", "governed workloads (as Node) (on edge)"),
        (Scope.BUILTIN, "", "everyone", "everyone but workloads that are not governed"),
        (
            Scope.BUILTIN,
            "",
            "everyone-.not.service.shop.web",
            "everyone but workloads that are not governed (less service.shop.web)",
        ),
        (Scope.RULE, "shop", "a-.and.service.shop.b", "rule shop/a (and in service.shop.b)"),
    ],
)
def test_what_a_group_is_called(scope: Scope, place: str, name: str, words: str) -> None:
    assert title(ObjectKey(Kind.GROUP, "east", scope, place, name)) == words
