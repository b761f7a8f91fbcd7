"""`fusion-bridge adopt`: objects under our names that lost our mark are ours again, because a person says so."""

from typing import Annotated

import typer

from bridge.cli.deciding import By, Reason
from bridge.cli.invocation import invocation
from bridge.errors import Refused, SettingsError


def adopt(
    context: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A device of the settings.", show_default=False)],
    objects: Annotated[
        list[str],
        typer.Argument(metavar="OBJECT…", help="Keys, as `status` prints them: group:CLUSTER/service/NAMESPACE/NAME."),
    ],
    by: By,
    reason: Reason,
) -> None:
    """Let the bridge put its mark on what stands on the device under the names of these objects, and go on from there.

    Nothing is written by this command. What then differs from what is wanted is changed like any drift of ours.
    """
    from bridge.cli.deciding import chosen, decided
    from bridge.cli.state import opened
    from bridge.model.identity import Kind, ObjectKey
    from bridge.settings.devices import Mode
    from bridge.state.recognition import Recognitions

    asked, decision = invocation(context), decided(by, reason)
    keys: set[ObjectKey] = set()
    wrong: dict[str, str] = {}
    for text in objects:
        try:
            key = ObjectKey.parse(text)
        except ValueError:
            wrong[text] = "no key of an object; `status` prints those that stand in somebody else's way"
            continue
        if key.kind in (Kind.FENCE, Kind.ATTACHMENT):
            wrong[text] = "is not adopted: see `fence reset` for a fence; who attaches a policy is the device's owner"
        keys.add(key)
    if wrong:
        raise SettingsError(wrong, "the command line")
    if chosen(asked.settings, device).mode is not Mode.APPLY:
        raise Refused(f"device {device} is in mode plan: nothing is written there, no mark either")
    with opened(asked.settings, asked.folder(asked.settings)) as database:
        Recognitions(database).adopt(device, keys, decision)
    names = sorted(str(key) for key in keys)
    if asked.output.json:
        asked.output.document({"device": device, "adopt": names, "by": decision.by, "reason": decision.reason})
    else:
        asked.output.line(f"{device}: {', '.join(names)} to be marked as ours at the next reading, {decision}")
