"""Each command on the page about moving from F5 CES does what the page says."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.acceptance.site import CLUSTER, Bridge, bigip, eventually
from tests.acceptance.test_dialects import BANK, Entry, define, external, rule
from tests.acceptance.test_intake import UNKNOWN
from tests.acceptance.world import OUTSIDE, World, cluster

PAGE = Path(__file__).parents[2] / "docs" / "migrating-from-ces.md"
_COMMAND = re.compile(r"<!-- command: (\S+) -->\n\s*```console\n\s*\$ fusion-bridge (.*?)\n", re.DOTALL)


def commands() -> dict[str, list[str]]:
    """The words of each command on the page, by its mark."""
    return {name: shlex.split(line) for name, line in _COMMAND.findall(PAGE.read_text())}


@pytest.mark.acceptance("dialects: every command of docs/migrating-from-ces.md does what it says")
def test_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PAGE.read_text().count("$ fusion-bridge") == len(commands()), "a command without a mark"
    monkeypatch.chdir(tmp_path)
    with cluster() as made, bigip() as device:
        define(made.store)
        entry = Entry(CLUSTER, made.api.kubeconfig)
        with Bridge(tmp_path, {"edge": device}, [entry], overrides={"edge": {"mode": "plan"}}) as bridge:
            site = World(made.name, made.store, made.api, device, bridge)
            site.namespace("shop")
            site.service("shop", "web")
            site.pod("shop", "web-0", "10.244.1.1")
            external(site, "shop", "bank", "192.0.2.0/28")
            rule(site, "ServiceEgressRule", "shop", "pay", "accept", "bank", service="web")
            done = {name: [word.replace("east", CLUSTER) for word in words] for name, words in commands().items()}
            _write_down(site, tmp_path / "ces")
            assert bridge.command(*done["validate"]).returncode == 0
            bridge.start()
            eventually("it is planned", lambda: "service/shop" in bridge.command(*done["plan"]).stdout, 60)
            assert not device.objects("security/firewall/rule-list"), "and nothing is written"
            printed = {}
            for name in ("import-files", "import-cluster"):
                *words, _, file = done[name]
                answer = bridge.command(*words)
                assert (answer.returncode, answer.stderr) == (0, "")
                Path(file).write_text(answer.stdout)
                printed[name] = list(yaml.safe_load_all(answer.stdout))
            assert printed["import-files"] == printed["import-cluster"]
            assert bridge.command(*done["validate-ours"]).returncode == 0
            bridge.stop()
            bridge.overrides = {}
            bridge.write_settings()
            bridge.start()
            eventually("all ends in deny", lambda: not site.allowed(UNKNOWN, OUTSIDE))
            eventually("in force", lambda: site.allowed("10.244.1.1", BANK))


def _write_down(site: World, folder: Path) -> None:
    folder.mkdir()
    for plural in ("externalservices", "serviceegressrules"):
        for one in site.store.list(f"{plural}.kubeovn.io"):
            (folder / f"{plural}-{one['metadata']['name']}.yaml").write_text(yaml.safe_dump(one))
