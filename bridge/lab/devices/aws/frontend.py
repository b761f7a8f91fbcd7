"""From an HTTP call to the actions and back: who calls, may he, is it too fast, is it well formed."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from bridge.lab.devices.aws import signature
from bridge.lab.devices.aws.answers import XML, Refusal, forbidden, identity, refused
from bridge.lab.devices.aws.ec2 import HANDLERS, READS, WRITES, action_of, by_moto
from bridge.lab.devices.aws.limits import rate_of
from bridge.lab.devices.aws.store import Author
from bridge.lab.devices.aws.wire import answered, is_action, parameters
from bridge.lab.devices.message import Answer, Request

if TYPE_CHECKING:
    from bridge.lab.devices.aws.simulator import Aws


def address(request: Request) -> str:
    """EC2 has one path for all: what a call is known by in log and faults is `/read/<action>` or `/write/<action>`."""
    action = action_of(request.body)
    if request.path != "/" or not action:
        return request.path
    return f"/{'write' if action in WRITES else 'read'}/{action}"


class Frontend:
    """Answers what comes in at the endpoint."""

    def __init__(self, device: "Aws") -> None:
        self._device = device

    def handle(self, request: Request) -> Answer:
        """One call, with the lock held. What was begun before is ended first when its time has come, and after the call too."""
        if request.path.startswith("/__lab/"):
            return self._device.laboratory.handle(request)
        with self._device.changed:
            self._device.settle()
            try:
                return self._route(request)
            except Refusal as no:
                return refused(no)
            finally:
                self._device.settle()

    def _route(self, request: Request) -> Answer:
        device = self._device
        signed = signature.check(request, {device.username: device.password}, device.backend.region)
        request.user = signed.key
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        request.transaction = form.get("ClientToken", "")
        if signed.service == "sts" and form.get("Action") == "GetCallerIdentity":
            return identity(device.backend.account, "bridge")
        if request.path == "/" or request.method != "POST" or signed.service != "ec2":
            raise Refusal("InvalidAction", "The action is not valid for this web service.")
        return self.perform(form, Author(signed.key, request.header("user-agent"), form.get("Action", "")))

    def perform(self, form: dict[str, str], author: Author) -> Answer:
        """One action by its parameters on the wire; the lock is held."""
        device, action = self._device, author.action
        if not is_action(action):
            raise Refusal("InvalidAction", f"The action {action} is not valid for this web service.")
        if action not in device.permitted:
            raise forbidden(action)
        narrowed = any(key.startswith(("Filter.", "MaxResults", "GroupId.")) for key in form)
        device.throttle.take(action, rate_of(action, writes=action in WRITES, narrowed=narrowed))
        given = parameters(action, form)
        if given.get("DryRun"):
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        if action in HANDLERS:
            told = HANDLERS[action](device, author, given)
            return Answer(200, answered(action, told), XML)
        if action in READS:
            return Answer(200, by_moto(device.backend, form), XML)
        raise Refusal("UnsupportedOperation", f"{action} is not simulated: it can be permitted and tried, not done.")
