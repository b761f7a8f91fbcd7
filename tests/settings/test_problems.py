"""Every problem of the settings, at once, with its path."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import SettingsError
from tests.settings.files import GOOD, changed, good, loaded, problems

ONE = [
    ("owner", ..., "", "is required"),
    ("owner", "Acme!", "", "1 to 12 of a-z and 0-9"),
    ("owner", 123, "", "must be text"),
    ("ownr", "acme", "", "did you mean owner?"),
    ("database", {"url": "mysql://u:hunter2@h/d"}, ".url", "must be postgresql://"),
    ("database", {"poolSize": 0}, ".poolSize", "greater than or equal to 1"),
    ("database", {"pool_size": 5}, ".pool_size", "did you mean poolSize?"),
    ("log", {"level": "loud"}, ".level", "'debug'"),
    ("log", "info", "", "must be a mapping"),
    ("monitoring", {"listen": "9808"}, ".listen", "address:port"),
    ("reports", {"schedule": "every day"}, ".schedule", "five fields of cron"),
    ("reports", {"schedule": "0 25 * * *"}, ".schedule", "no schedule of cron"),
    ("reports", {"schedule": "0 6 * * 1-5"}, ".schedule", "write mon-fri"),
    ("monitoring", {"listen": "127.0.0.1:99999"}, ".listen", "address:port"),
    ("names", {"servers": ["ns.example.com"]}, ".servers[0]", "must be the address of a name server"),
    ("names", {"servers": ["192.0.2.53", "192.0.2.53:0"]}, ".servers[1]", "not between 1 and 65535"),
    ("names", {"servers": ["2001:db8::53:53:"]}, ".servers[0]", "[2001:db8::53]:5353"),
    ("names", {"shortest": 60, "longest": 5}, "", "shortest must not be above longest"),
    ("names", {"grace": -1}, ".grace", "greater than or equal to 0"),
    ("names", {"most": 0}, ".most", "greater than or equal to 1"),
    ("replicas", {"term": 4}, "", "below term"),
    ("replicas", {"renewal": 4}, "", "below deadline"),
    ("replicas", {"term": 0.5}, ".term", "greater than or equal to 1"),
    ("replicas", {"standby": "hot"}, ".standby", "'warm'"),
    ("clusters", [], "", "at least one"),
    ("clusters", ..., "", "is required"),
    ("clusters", {"east": {}}, "", "must be a list"),
    ("clusters/0/name", "East", "", "1 to 20 of a-z"),
    ("clusters/0/name", "a" * 21, "", "1 to 20 of a-z"),
    ("clusters/1/name", "east", "", "is the name of clusters[0] too"),
    ("clusters/0/podRanges", [], "", "at least one prefix"),
    ("clusters/0/podRanges", ..., "", "is required"),
    ("clusters/0/podRanges", ["10.64.0.1/16"], "[0]", "write 10.64.0.0/16"),
    ("clusters/0/podRanges", ["300.1.2.3/16"], "[0]", "is not a prefix"),
    ("clusters/0/podRanges", ["0.0.0.0/0"], "[0]", "every address"),
    ("clusters/1/podRanges", ["10.64.128.0/17"], "", "10.64.128.0/17 meets 10.64.0.0/16"),
    ("clusters/0", {"name": "east", "podRanges": ["10.64.0.0/16"], "inCluster": True, "context": "x"}, "", "goes without"),
    ("clusters/0/governed/namespaceSelector/matchLabel", {"a": "b"}, "", "did you mean matchLabels?"),
    ("clusters/0/governed/namespaceSelector/matchExpressions", [{"key": "a", "operator": "In"}], "[0]", "at least one of values"),
    ("clusters/0/governed", {"namespaceSelector": None}, ".namespaceSelector", "must be a mapping"),
    ("devices/0/kind", "papre", "", "did you mean paper?"),
    ("devices/0/kind", "torn", "", "cannot be loaded"),
    ("devices/0/url", "192.0.2.10", "", "is not a URL"),
    ("devices/0/url", "https://bridge:hunter2@192.0.2.10", "", "belong under credentials"),
    ("devices/0/credentials", {}, "", "needs username and password, or token"),
    ("devices/0/credentials", {"password": "hunter2"}, ".password", "names a place"),
    ("devices/0/credentials", {"token": {"file": "a", "env": "B"}}, ".token", "exactly one"),
    ("devices/0/credentials/token/secret", {"namespace": "a", "name": "b", "key": "c"}, ".cluster", "several clusters"),
    ("devices/0/credentials/token/secret", {"namespace": "a", "name": "b", "key": "c", "cluster": "north"}, ".cluster", "no cluster"),
    ("devices/0/tls", {"verify": False, "caFile": "ca.pem"}, "", "no effect"),
    ("devices/0/timeout", 0, "", "greater than 0"),
    ("devices/0/timeout", float("nan"), "", "finite number"),
    ("devices/0/mode", "Apply", "", "'apply' or 'plan'"),
    ("devices/0/name", "node", "", "is taken"),
    ("devices/0/addressSource", "Nodes", "", "must be Pod"),
    ("devices/0/addressSource", "Egress", "", "in which Egress has its addresses"),
    ("devices/0/addressSource", [{"source": "Egress"}], "[0]", "needs addresses"),
    ("devices/0/addressSource", [], "", "at least one"),
    ("devices/0/addressSource", [{"source": "Node", "addresses": ["192.0.2.1"]}], "[0]", "belong to Egress"),
    ("devices/0/addressSource", [{"source": "Node"}, {"source": "Pod"}], "", "only one"),
    (
        "devices/0/addressSource",
        [{"source": "Node", "destinations": ["10.0.0.0/8"]}, {"source": "Pod", "destinations": ["10.1.0.0/16"]}],
        "",
        "meet",
    ),
    (
        "devices/0/scope/clusters/east/addressSource",
        [{"source": "Egress", "addresses": ["192.0.2.300"]}],
        "[0].addresses[0]",
        "not an address",
    ),
    ("devices/0/attach", "ifEmtpy", ".mode", "none or ifEmpty"),
    ("devices/0/attach", 3, "", "must be a mapping"),
    ("devices/0/scope/clusters", {}, "", "at least one"),
    ("devices/0/scope/namespaces", [], "", "at least one"),
    ("devices/0/scope/clusters/east", {}, ".default", "is required"),
    ("devices/0/scope/clusters/east/default/action", ..., "", "is required"),
    ("devices/0/scope/clusters/east/default/unknownAddresses", "Drop", "", "'Deny' or 'Pass'"),
    ("devices/0/scope/clusters/eastt", {"default": {"action": "Deny", "unknownAddresses": "Deny"}}, "", "did you mean east?"),
    ("devices/0/scope/namespace", ["shop"], "", "did you mean namespaces?"),
    ("devices/0/scope/paper", {"colr": 1}, ".colr", "unknown to paper"),
    ("devices/0/scope/paper", 3, "", "must be a mapping"),
    ("delivery", {"guard": {"removalsPerGroup": {"percent": 5}}}, ".guard.removalsPerGroup.count", "is required"),
    ("delivery", {"pacing": {"first": 40}}, ".pacing", "first must not be above longest"),
    ("watch", {"inactivity": 10}, ".inactivity", "greater than or equal to 70"),
    ("history", {"days": 1.5}, ".days", "whole number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "inside", "words"), ONE, ids=[f"{at}-{one[0]}" for at, one in enumerate(ONE)]
)
def test_one_problem_at_its_path(tmp_path: Path, path: str, value: object, inside: str, words: str) -> None:
    """`inside` is where in the changed value the problem lies."""
    found = problems(tmp_path, changed(path, value))
    assert words in found.get(_dotted(path) + inside, ""), found
    assert "Value error" not in str(found), "the words of the library are not ours"


def test_all_at_once(tmp_path: Path) -> None:
    raw = good()
    del raw["owner"]
    raw["clusters"][0]["podRanges"] = ["10.0.0.0/8", "x"]
    raw["devices"].append({"name": "edge", "kind": "papr", "scope": {"clusters": {"nrth": {}}, "papr": {}}})
    raw["devices"].append({**good()["devices"][0], "name": "again", "mode": "Apply", "attach": "maybe"})
    found = problems(tmp_path, raw)
    assert set(found) == {
        "owner",
        "clusters[0].podRanges[1]",
        "clusters[1].podRanges",
        "devices[1].name",
        "devices[1].kind",
        "devices[1].url",
        "devices[1].credentials",
        "devices[1].scope.clusters.nrth",
        "devices[1].scope.clusters.nrth.default",
        "devices[2].url",
        "devices[2].mode",
        "devices[2].attach.mode",
    }


def test_one_egress_is_of_one_cluster(tmp_path: Path) -> None:
    raw = good()
    raw["clusters"].append({**raw["clusters"][0], "name": "west", "podRanges": ["10.99.0.0/16"]})
    served = raw["devices"][0]["scope"]["clusters"]
    served["west"] = dict(served["east"])
    raw["devices"][0]["addressSource"] = [{"source": "Egress", "addresses": ["192.0.2.9"]}]
    found = problems(tmp_path, raw)
    assert "192.0.2.9 is an egress of cluster east too" in found["devices[0].scope.clusters.west.addressSource"]
    served["west"]["addressSource"] = [{"source": "Egress", "addresses": ["192.0.2.8"]}]
    assert not [path for path in problems(tmp_path, raw) if "addressSource" in path]


def test_clusters_that_share_no_device_may_share_ranges(tmp_path: Path) -> None:
    raw = changed("clusters/1/podRanges", ["10.64.0.0/16"])
    del raw["devices"][0]["scope"]["clusters"]["west"]
    assert problems(tmp_path, raw) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("owner: [", "not YAML"),
        ("owner: a\nowner: b", "a key stands here twice"),
        ("- a", "must be a mapping"),
        ("owner: &a [*a]", "an anchor refers to itself"),
        ("[" * 3000, "not YAML"),
        ("a: " + "{b: " * 60 + "1" + "}" * 60, "nested too deeply"),
        ("owner: !!int ''", "not what its tag says"),
        ("owner: !!timestamp x", "not what its tag says"),
        ("owner: \x00", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
    ],
)
def test_what_is_no_settings_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        loaded(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    from bridge.settings import load
    from tests.settings.files import Paper

    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.yaml", Paper(), {})
    with pytest.raises(SettingsError, match="Is a directory"):
        load(tmp_path, Paper(), {})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.sampled_from(
    [
        "owner",
        "clusters",
        "devices",
        "name",
        "kind",
        "url",
        "scope",
        "credentials",
        "podRanges",
        "default",
        "paper",
        "east",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys | st.text(max_size=5) | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=values, where=st.sampled_from(["", *(one[0] for one in ONE)]))
def test_any_value_anywhere_is_a_problem_and_never_a_crash(tmp_path: Path, raw: object, where: str) -> None:
    typed = changed(where, raw) if where else raw
    text = yaml.safe_dump(typed)
    if "\x85" not in text:  # PyYAML does not read back every text that it writes
        problems(tmp_path, text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="abc:-[]{}&*!|>'\"#%@\n\t ,?0\x01é", max_size=40))
def test_any_text_is_a_problem_and_never_a_crash(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) != {}


@pytest.mark.parametrize(
    "value", ["hunter2", ["hunter2"], 2222, {"files": "hunter2"}, {"file": ["hunter2"]}, {"env": "hunter 2"}]
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, value: object) -> None:
    raw = changed("devices/0/credentials/password", value)
    raw["database"] = {"url": "postgresql://bridge:hunter2@/x", "poolSize": "hunter2"}
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, raw)
    assert "hunter" not in str(caught.value)
    assert "2222" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["password: *hunter2", "password: !hunter2 x", "password: 'hunter2", "password: @hunter2"]
)
def test_a_parser_s_words_quote_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, f"owner: acme\n{text}")
    assert "hunter" not in str(caught.value)


def test_the_good_settings_are_good(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == {}


def _dotted(path: str) -> str:
    return re.sub(r"/(\d+)", r"[\1]", path).replace("/", ".")
