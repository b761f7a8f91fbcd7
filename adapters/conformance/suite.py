"""All checks in one class."""

from adapters.conformance.applying import Applying
from adapters.conformance.between import Between
from adapters.conformance.examining import Examining
from adapters.conformance.flowing import Flowing
from adapters.conformance.forms import Forms
from adapters.conformance.limits import Limits
from adapters.conformance.ownership import Ownership
from adapters.conformance.permits import Permits
from adapters.conformance.stopping import Stopping
from adapters.conformance.troubles import Troubles


class Conformance(Applying, Stopping, Between, Ownership, Limits, Troubles, Permits, Forms, Examining, Flowing):
    """What an adapter and its device have to show; bound by a subclass whose name begins with Test."""

    def test_skips_are_exactly_what_is_not_declared(self) -> None:
        checks = (getattr(type(self), name) for name in dir(type(self)) if name.startswith("test_"))
        lacking = {word for check in checks for word in self.lacking(check)}
        assert lacking == self.skips
