"""Examples in a document that a test produces: they stand between markers, and are compared, or written when asked.

FUSION_BRIDGE_WRITE_DOCS=1 writes them.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_EVENT = re.compile(r"^  (Normal|Warning) +(\w+) +(\S.*?) {2,}(\S+) +(.*)$")
_WRITE = os.environ.get("FUSION_BRIDGE_WRITE_DOCS") == "1"


@dataclass
class Document:
    """A document with examples, each between `<!-- example: name -->` and `<!-- end -->`."""

    path: Path
    names: Mapping[str, str] = field(default_factory=dict)  # what the test calls it -> what the document does

    def examples(self) -> dict[str, str]:
        """Each by its name."""
        found = re.findall(r"<!-- example: (\S+) -->\n(.*?)<!-- end -->\n", self.path.read_text(), re.DOTALL)
        return dict(found)

    def check(self, name: str, command: str, output: str) -> None:
        """The document shows this command with this output; or does from now on, when it is to be written."""
        self.check_text(name, f"```console\n$ {self._named(command)}\n{self._named(output)}\n```\n")

    def check_text(self, name: str, text: str) -> None:
        """The same for a text of any kind."""
        if _WRITE:
            marked = re.compile(rf"(<!-- example: {name} -->\n).*?(<!-- end -->\n)", re.DOTALL)
            self.path.write_text(marked.sub(lambda match: match[1] + text + match[2], self.path.read_text()))
        assert self.examples().get(name) == text

    def _named(self, text: str) -> str:
        for ours, theirs in self.names.items():
            text = text.replace(ours, theirs)
        return text


def excerpt(described: str, *sections: str) -> str:
    """These parts of what `kubectl describe` printed, with the same times and ages each time."""
    wanted = False
    lines = []
    for line in described.splitlines():
        if line and not line.startswith(" "):
            wanted = line.partition(":")[0] in sections
        if wanted:
            lines.append(_TIME.sub("2026-03-01T12:00:00Z", line).rstrip())
    return "\n".join(_with_even_events(lines))


def _with_even_events(lines: list[str]) -> list[str]:
    """The table of Events without the columns' varying width, by reason."""
    events = sorted(match.groups() for line in lines if (match := _EVENT.match(line)))
    rest = [line for line in lines if not _EVENT.match(line) and not re.match(r"^  (Type|----) ", line)]
    if not events:
        return rest
    table = [("Type", "Reason", "Age", "From", "Message"), ("----", "------", "----", "----", "-------")]
    table += [(kind, reason, "5s", source, message) for kind, reason, _, source, message in events]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    shown = ["  " + "  ".join([*map(str.ljust, row[:4], widths), row[4]]) for row in table]
    return rest + shown
