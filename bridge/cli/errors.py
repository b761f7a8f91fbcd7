"""What becomes of an error of ours: words on standard error, and an exit code."""

import traceback

from bridge.cli.invocation import Invocation
from bridge.cli.output import complain
from bridge.cli.redaction import redacted
from bridge.errors import BridgeError, FencedOff, NotOwned, Refused, SchemaOutdated, SettingsError

FINE, FINDINGS, USAGE, HELD = 0, 1, 2, 3


def exit_code(error: BridgeError) -> int:
    """2 for what is wrong with the settings or the schema, 3 for what waits for a person, 1 for everything else."""
    if isinstance(error, SettingsError | SchemaOutdated):
        return USAGE
    if isinstance(error, Refused | NotOwned | FencedOff):
        return HELD
    return FINDINGS


def explain(error: BridgeError, asked: Invocation) -> None:
    """Say what went wrong; where it came from only while debugging."""
    if asked.debugging:
        complain(redacted("".join(traceback.format_exception(error))))
    complain(redacted(f"fusion-bridge: {error}"))
