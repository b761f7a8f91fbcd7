"""The example of docs/plan.md is what the program prints."""

import re
from pathlib import Path

from bridge.intake.snapshot import write
from tests.acceptance.documented import Document
from tests.cli import drawn
from tests.cli.program import run

PAGE = Document(Path(__file__).parents[2] / "docs" / "plan.md")


def test_the_example(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", PAGE.examples()["manifests"], re.DOTALL)
    assert found
    folder, file = tmp_path / "policy", tmp_path / "east.json.gz"
    folder.mkdir()
    (folder / "mail.yaml").write_text(found[1])
    write(drawn.snapshot(*drawn.shop()), file)
    answer = run("plan", "--manifests", folder, "--against", file)
    assert (answer.code, answer.err) == (1, "")
    command = "fusion-bridge plan --manifests policy/ --against east.json.gz"
    PAGE.check("plan", command, answer.out.rstrip("\n"))
