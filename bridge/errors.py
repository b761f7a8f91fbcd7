"""One tree of errors; every message tells a person what to do.

    BridgeError
    ├── SettingsError        all problems of the settings at once                      exit code 2
    ├── StateError           the database
    │   ├── SchemaOutdated   the schema is not the one this version needs              exit code 2
    │   │   └── SchemaNewer  … and never will be: a newer version has changed it       stop, exit code 2
    │   ├── StateUnavailable the database cannot be reached now                        retry
    │   └── LostLease        another replica owns what this one was about to write     stop, read again
    ├── ClusterError         the Kubernetes API
    │   ├── ClusterUnavailable   no answer, or 5xx                                     retry with backoff
    │   ├── ClusterDenied        401, 403                                              say so, retry slowly
    │   └── Expired              410: the resource version is too old                  list again
    ├── PolicyError          an object of the user that cannot be taken as it is
    ├── Refused              the bridge will not do this without a person              exit code 3
    └── DeviceError          one reaction each, see bridge.contract
        ├── Busy             back off
        ├── Denied           open the breaker and say so
        ├── Drifted          read and plan again
        ├── Rejected         quarantine the named objects, go on with the rest
        ├── Unsupported      report the named objects in plan and status
        └── NotOwned         never retry, alert

No message may hold a secret: those who raise one put in names, codes and the device's own words, never a body that they sent.
"""

from collections.abc import Iterable, Mapping


class BridgeError(Exception):
    """The root: catch this to catch everything the bridge raises on purpose."""


class SettingsError(BridgeError):
    """The settings are unusable. `problems` maps the path of each setting to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str], source: str = "settings") -> None:
        self.problems = dict(problems)
        self.source = source
        lines = "\n".join(f"  {path}: {problem}" for path, problem in self.problems.items())
        super().__init__(f"{len(self.problems)} problem(s) in {source}:\n{lines}")


class StateError(BridgeError):
    """The state database refused or failed."""


class SchemaOutdated(StateError):
    """The schema differs from the one this version was written for; the message names the command that mends it."""


class SchemaNewer(SchemaOutdated):
    """A newer version has changed the schema in a way that this one cannot run on: it must not write one row more."""


class StateUnavailable(StateError):
    """The database cannot be reached now; the caller keeps its work and tries again."""


class LostLease(StateError):
    """The lease row names another owner or a higher epoch: stop writing, read again."""


class ClusterError(BridgeError):
    """The Kubernetes API refused or failed."""


class ClusterUnavailable(ClusterError):
    """No answer, a broken one, or 5xx: try again with backoff, infer nothing."""


class ClusterDenied(ClusterError):
    """401 or 403: credentials or RBAC; the message names the verb and the resource."""


class Expired(ClusterError):
    """410 Gone: the resource version is too old to go on from; list again."""


class PolicyError(BridgeError):
    """An object that a person wrote cannot be taken as it is: `path` is the field, `reason` what is wrong there."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}" if path else reason)


class Refused(BridgeError):
    """The bridge will not do this by itself; the message names the command by which a person decides."""


class Stopped(Refused):
    """A person wants nothing to be written to the device; the message says who and why. It is read and compared on."""


class DeviceError(BridgeError):
    """A device or its adapter. `device` is the name from the settings."""

    def __init__(self, device: str, message: str) -> None:
        self.device = device
        super().__init__(f"{device}: {message}")


class Busy(DeviceError):
    """The device cannot take the call now (503, 429, lock held, time-out). `retry_after` in seconds where it told."""

    def __init__(self, device: str, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(device, message)


class Denied(DeviceError):
    """Credentials or permissions; trying again without a change locks accounts."""


class Drifted(DeviceError):
    """The device is not as it was read (moved version, vanished object, moved epoch)."""


class FencedOff(Drifted):
    """A higher epoch or another installation stands in the fence object: someone else owns the device now."""


class Rejected(DeviceError):
    """The device refuses these objects for what they are. `objects` maps each key's text to the device's own words."""

    def __init__(self, device: str, objects: Mapping[str, str]) -> None:
        self.objects = dict(objects)
        super().__init__(device, "rejected " + "; ".join(f"{name}: {why}" for name, why in self.objects.items()))


class Unsupported(DeviceError):
    """The device cannot express these objects. `objects` maps each object's key text to the missing capability."""

    def __init__(self, device: str, objects: Mapping[str, str]) -> None:
        self.objects = dict(objects)
        super().__init__(device, "cannot express " + "; ".join(f"{name}: {why}" for name, why in self.objects.items()))


class NotOwned(DeviceError):
    """Objects under our names without our mark; they are never touched. `names` are the device's own names.

    `objects` maps the text of each key that would stand there to why it cannot, so that the rest of a plan can go on without them.
    """

    def __init__(self, device: str, names: Iterable[str], objects: Mapping[str, str] | None = None) -> None:
        self.names = tuple(names)
        self.objects = dict(objects or {})
        super().__init__(device, "not ours, left alone: " + ", ".join(self.names))
