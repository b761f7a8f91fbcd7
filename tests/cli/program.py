"""Running the program as a person does, in this process or in one of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bridge.cli.main import app

SCRIPT = Path(sys.executable).with_name("fusion-bridge")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 (any JSON value)
        """Standard output as JSON."""
        return json.loads(self.out)


def run(*arguments: str | Path, env: Mapping[str, str | None] | None = None, stdin: str = "") -> Answer:
    """Through the same entry as the console script, in this process."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], env=dict(env or {}), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def start(*arguments: str | Path, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """The console script itself."""
    command = [str(SCRIPT), *(str(one) for one in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
