"""What the handlers of the actions share: who calls with what, the account, and the way to note a change."""

from typing import TYPE_CHECKING, Any

from moto.ec2.responses import EC2Response

from bridge.lab.devices.aws.store import Author

if TYPE_CHECKING:
    from bridge.lab.devices.aws.simulator import Aws


class Desk(EC2Response):
    """One call: moto reads the parameters and writes the answer, what lies between is checked here."""

    device: "Aws"
    author: Author

    @property
    def given(self) -> dict[str, Any]:
        """The parameters by their names in the API."""
        found: dict[str, Any] = self.params
        return found

    def touch(self, *names: str) -> None:
        """Note that this call changed these."""
        self.device.store.record(names, self.author)
