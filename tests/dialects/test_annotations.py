"""Groups by annotation: a union inside one namespace, nothing across namespaces, and one bad value spoils no other."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects.annotations import ADDRESS_GROUP, annotated, annotation_groups, group_names
from bridge.errors import PolicyError
from bridge.model.observed import Labels, Namespace, Pod, Service
from bridge.model.policy import Ref, Source, SourceKind
from tests.dialects.objects import samples


def annotation(value: str | None) -> Labels:
    return {} if value is None else {ADDRESS_GROUP: value}


def namespace(name: str, value: str | None = None) -> Namespace:
    return Namespace("uid", name, "1", {}, annotation(value), deleting=False)


def service(space: str, name: str, value: str | None = None) -> Service:
    return Service("uid", space, name, "1", {}, annotation(value), {"app": name})


def pod(space: str, name: str, value: str | None = None) -> Pod:
    return Pod(
        uid="uid", namespace=space, name=name, resource_version="1", labels={}, annotations=annotation(value),
        service_account="default", owner="", node="n", phase="Running", host_network=False, addresses=(), started=None,
        deleting=False, gates=(),
    )  # fmt: skip


def behind(space: str, name: str) -> Source:
    return Source(SourceKind.SERVICE, namespace=space, service=name)


def test_one_value_in_one_namespace_is_a_union() -> None:
    groups = annotation_groups(
        [], [service("shop", "pay", "partner"), service("shop", "ship", "partner"), service("shop", "x")]
    )
    assert groups.sources == {("shop", "partner"): (behind("shop", "pay"), behind("shop", "ship"))}
    assert groups.errors == {}


def test_the_same_value_elsewhere_is_another_group() -> None:
    groups = annotation_groups([namespace("bank", "partner")], [service("shop", "pay", "partner")])
    assert groups.sources == {
        ("bank", "partner"): (Source(SourceKind.NAMESPACE, namespace="bank"),),
        ("shop", "partner"): (behind("shop", "pay"),),
    }


def test_a_pod_joins_by_its_own_annotation() -> None:
    groups = annotation_groups([], [], [pod("shop", "a", "partner"), pod("shop", "b", "partner"), pod("shop", "c")])
    assert groups.sources == {("shop", "partner"): (annotated("shop", "partner"),)}


def test_several_values_are_several_groups() -> None:
    groups = annotation_groups([], [service("shop", "pay", "reports, partner,reports")])
    assert set(groups.sources) == {("shop", "partner"), ("shop", "reports")}


@pytest.mark.parametrize("value", ["", " ", "Partner", "a,,b", "a b", "-a", "a" * 64, "shop/partner", "bücher"])
def test_a_bad_value_is_told_about_its_object_and_spoils_no_other(value: str) -> None:
    groups = annotation_groups(
        [namespace("shop", "good")], [service("shop", "bad", value), service("shop", "ok", "good")]
    )
    assert set(groups.sources) == {("shop", "good")}
    (error,) = groups.errors.values()
    assert list(groups.errors) == [Ref("Service", "shop", "bad")]
    assert error.path == 'metadata.annotations["fusionbridge.io/address-group"]'


def test_the_sample_makes_the_groups_that_it_speaks_of() -> None:
    services = [
        replace(
            service(item["metadata"]["namespace"], item["metadata"]["name"]),
            annotations=item["metadata"]["annotations"],
        )
        for item in samples()
        if item["kind"] == "Service"
    ]
    assert annotation_groups([], services).sources == {
        ("shop", "partner-egress"): (behind("shop", "paymentservice"), behind("shop", "shippingservice")),
        ("shop", "reporting"): (behind("shop", "shippingservice"),),
    }


@given(st.text(max_size=20) | st.text("ab-, ", max_size=20))
def test_any_value_gives_names_or_a_policy_error(value: str) -> None:
    with suppress(PolicyError):
        names = group_names(annotation(value))
        assert names == tuple(sorted(set(names)))
        assert group_names(annotation(",".join(names))) == names
