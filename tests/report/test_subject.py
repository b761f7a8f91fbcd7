"""What the words of `history` can mean."""

import pytest

from bridge.model.identity import Kind, ObjectKey
from bridge.report.naming import title
from bridge.report.subject import Subject, What, matching, objects_called, rule_lists, subjects

WEB = ObjectKey.parse("group:east/service/shop/web")
BOTH = ("NamespaceEgressRule", "ServiceEgressRule")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("10.0.0.1", [Subject(What.ADDRESS, "10.0.0.1")]),
        ("FD00:0:0::1", [Subject(What.ADDRESS, "fd00::1")]),
        ("::ffff:10.0.0.1", [Subject(What.ADDRESS, "10.0.0.1")]),
        ("ip/10.0.0.1", [Subject(What.ADDRESS, "10.0.0.1")]),
        ("group:east/service/shop/web", [Subject(What.GROUP, "web", "shop", key=WEB)]),
        ("shard:east/service/shop/web#00.4", [Subject(What.GROUP, "web", "shop", key=WEB)]),
        ("east/service/shop/web", [Subject(What.GROUP, "web", "shop", key=WEB)]),
        ("group/east/service/shop/web", [Subject(What.GROUP, "web", "shop", key=WEB)]),
        ("/Common/fb/fb_east_service_shop_web", [Subject(What.GROUP, "fb_east_service_shop_web")]),
        ("service shop/web", [Subject(What.GROUP, "service shop/web")]),
        ("pod/shop/web-1", [Subject(What.POD, "web-1", "shop")]),
        (
            "shop/web-1",
            [
                Subject(What.POD, "web-1", "shop"),
                Subject(What.RULE, "web-1", "shop", BOTH),
                Subject(What.GROUP, "shop/web-1"),
            ],
        ),
        (
            "rules/east/service/shop",
            [Subject(What.OBJECT, "", "shop", key=ObjectKey.parse("rules:east/service/shop/"))],
        ),
        (
            "group/east/namespace/shop",
            [Subject(What.GROUP, "", "shop", key=ObjectKey.parse("group:east/namespace/shop/"))],
        ),
        ("rule/shop/out", [Subject(What.RULE, "out", "shop", BOTH)]),
        ("rule/baseline", [Subject(What.RULE, "baseline", "", ("ClusterEgressRule",))]),
        ("ServiceEgressRule shop/out", [Subject(What.RULE, "out", "shop", ("ServiceEgressRule",))]),
        ("ClusterEgressRule/baseline", [Subject(What.RULE, "baseline", "", ("ClusterEgressRule",))]),
        ("device/edge", [Subject(What.DEVICE, "edge")]),
        (
            "edge",
            [
                Subject(What.DEVICE, "edge"),
                Subject(What.RULE, "edge", "", ("ClusterEgressRule",)),
                Subject(What.GROUP, "edge"),
            ],
        ),
        ("uid/7", [Subject(What.UID, "7")]),
    ],
)
def test_words_mean(words: str, expected: list[Subject]) -> None:
    assert list(subjects(words)) == expected


def test_a_bare_uid_is_one_among_what_it_can_mean() -> None:
    assert Subject(What.UID, "0b0e8a60-8e7c-4c33-9d39-0123456789ab") in subjects("0b0e8a60-8e7c-4c33-9d39-0123456789ab")


def test_rules_objects_have_a_key_of_their_own() -> None:
    (one,) = subjects("rules:east/service/shop/")
    assert (one.what, str(one)) == (What.OBJECT, "rules:east/service/shop/")


@pytest.mark.parametrize(
    "words",
    ["", " ", "/", "10.0.0.0/8", "fd00::/8", "group:nonsense", "group:a/b/c/d", "a/b/c", "pod/x", "rule/a/b/c", "rule/", "ip/x",
     "ServiceEgressRule out", "ClusterEgressRule shop/out", "device/a/b", "object/x/y", "/a//"],
)  # fmt: skip
def test_words_without_a_meaning_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        subjects(words)


@pytest.mark.parametrize(
    "words",
    ["10.0.0.1", "group:east/service/shop/web", "pod/shop/web-1", "device/edge", "uid/7", "ServiceEgressRule/shop/out",
     "ClusterEgressRule/baseline", "rules:east/service/shop/"],
)  # fmt: skip
def test_each_says_words_that_mean_just_it(words: str) -> None:
    (one,) = subjects(words)
    assert subjects(str(one)) == (one,)


def test_a_group_is_found_by_the_names_that_people_see() -> None:
    long = ObjectKey.parse("group:east/annotation/shop/a b c")
    keys = [WEB, ObjectKey.parse("group:east/namespace/shop/"), ObjectKey.parse("group:east/service/shop/web-2"), long]
    names = {
        "fb_east_service_shop_web": [WEB],
        "fb_east_service_shop_web_0a.16": [WEB],
        "fb_east_namespace_shop": [keys[1]],
        "service shop/web": [WEB],
        "namespace shop": [keys[1]],
        "fb__long_east-annotation-shop-a-b-c_" + _digits(long): [long],
        "web": [],
        "fb_": [],
    }
    assert {name: matching(name, map(str, keys)) for name in names} == names


OBJECTS = [
    ObjectKey.parse(text)
    for text in (
        "group:east/service/shop/web", "group:east/namespace/shop/", "group:east/external/shop/pay", "group:east/clusterexternal//dns",
        "group:east/rule/shop/out", "group:east/addressgroup/shop/old", "group:east/annotation/shop/bank", "group:east/builtin//outside",
        "group:east/builtin//pod-ranges", "group:east/builtin//governed-.edge", "rules:east/service/shop/", "rules:east/cluster//",
        "rules:east/default//", "policy:/cluster//", "policy:/service//", "ports:east/service/shop/web", "ports:east/external/shop/pay",
    )
]  # fmt: skip


@pytest.mark.parametrize("key", OBJECTS, ids=str)
def test_every_object_is_found_as_reports_and_the_console_call_it(key: ObjectKey) -> None:
    from adapters.bigip.names import Names

    for words in (title(key), Names("fb").name(key)):
        found = [one.key for one in objects_called(words, ["west", "east"], [])]
        assert key in found, words
        assert len(found) <= 16, "few have to be looked up"


def test_reports_say_what_is_outside() -> None:
    assert title(OBJECTS[7]) == "everything outside the cluster"
    assert [one.key for one in objects_called("everything outside the cluster", ["east"], [])] == [OBJECTS[7]]
    assert [one.key for one in objects_called("external service shop/pay", ["east"], [])] == [OBJECTS[2]]


def test_a_bare_place_can_be_a_service_and_other_words_lead_nowhere() -> None:
    assert WEB in [one.key for one in objects_called("shop/web", ["east"], [])]
    assert all(one.key and one.key.kind is Kind.GROUP for one in objects_called("shop/web", ["east"], []))
    for words in (
        "fb_other_service_shop_web",
        "fb_east_nonsense_shop",
        "web",
        "our own firewall",
        "fb__long_x_0123456789abcdef",
    ):
        assert objects_called(words, ["east"], []) == []


def test_the_lists_in_which_a_rule_stands() -> None:
    (one,) = subjects("rule/shop/out")
    assert rule_lists(one, ["east", "west"]) == [
        f"rules:{cluster}/{scope}/shop/" for cluster in ("east", "west") for scope in ("namespace", "service")
    ]


def _digits(key: ObjectKey) -> str:
    from adapters.bigip.names import Names

    return Names("fb").name(key).rpartition("_")[2]
