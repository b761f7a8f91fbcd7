"""docs/policy.md keeps up with the definitions and the samples."""

import re
from pathlib import Path

import pytest

from bridge.dialects import kinds
from bridge.resources import shipped
from tests.dialects.objects import crd, nodes, schema

PAGE = Path(__file__).parents[2] / "docs" / "policy.md"


@pytest.mark.parametrize("kind", [kind.name for kind in kinds.KINDS])
def test_every_field_and_short_name_is_on_the_page(kind: str) -> None:
    page = re.sub(r"```.*?```", "", PAGE.read_text(), flags=re.DOTALL)  # an example explains nothing
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", page))))
    fields = {
        path.rpartition(".")[2].removesuffix("[]") for path, _ in nodes(schema(kind)["properties"]["spec"], "spec")
    }
    of_selectors = {"key", "operator", "values"}  # Kubernetes' own, told by name of the whole
    assert fields - of_selectors - words - {""} == set()
    assert set(crd(kind)["spec"]["names"]["shortNames"]) <= words
    assert f"| [{kind}](#" in page


def test_every_sample_is_linked_and_every_link_leads_somewhere() -> None:
    linked = set(re.findall(r"\]\(\.\./([^)#]+)\)", PAGE.read_text()))
    assert all((PAGE.parents[1] / target).exists() for target in linked)
    assert {f"config/samples/{file.name}" for file in shipped("config/samples").iterdir()} <= linked
