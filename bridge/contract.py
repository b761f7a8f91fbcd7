"""The adapter contract: an adapter reads and writes one device, and never decides.

Diff, guard, retries, ownership policy and persistence stay outside. Each error has exactly one reaction:

    Busy(retry_after)      back off, then read and plan again
    Denied                 open the breaker and say so
    Drifted                read and plan again
    Rejected(objects)      quarantine those, keep their last good version, go on with the rest (closed under precedence)
    Unsupported(objects)   report in plan and status
    NotOwned(names)        never retry, alert

Adapters are found by entry point in the group `fusion_bridge.adapters`; each names an AdapterFactory.
"""

import re
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from bridge.errors import Busy, Denied
from bridge.model.capabilities import Capabilities, Limits
from bridge.model.examination import Finding
from bridge.model.flows import Flow
from bridge.model.identity import ObjectKey
from bridge.model.intent import Intent, Objects, ReadScope, Snapshot
from bridge.model.plan import Fence, Outcome, Plan


class Credentials(Protocol):
    """Where a secret is read each time it is needed, so that a rotated one is taken without a restart."""

    def value(self, name: str) -> str:
        """The secret called `name` ("username", "password", "token"); Denied-worthy KeyError when there is none.

        NotStated, which is a KeyError, when the settings name no place for it.
        """
        ...


class NotStated(KeyError):
    """The settings name no place for a secret; as against one that is not where they say."""


def always() -> None:
    """The permit of those who need none."""


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device as the settings describe it; `scope` and `attach` hold what only its adapter understands, already checked.

    `permit` raises LostLease once it is not certain any more that the device is ours. An adapter calls it immediately before each request
    that changes something on the device, repetitions included, lets the error through, and sends nothing more. Logins need none.
    `trial`: this owner only tries the device; a place that `scope` names as an owner's alone is not its, so the adapter makes one beside.
    """

    name: str
    kind: str
    url: str
    owner: str
    credentials: Credentials
    scope: Mapping[str, Any] = field(default_factory=dict)
    attach: Mapping[str, Any] = field(default_factory=dict)
    tls_verify: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    timeout: float = 30.0
    trial: bool = False
    permit: Callable[[], None] = field(default=always, repr=False, compare=False)


def trust(config: DeviceConfig) -> ssl.SSLContext:
    """How a device's certificate is judged, and which of ours it is shown, from the files as they are now.

    Denied, naming the file, where one cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Denied(config.name, f"caFile {config.ca_file} cannot be used: {error}") from None
    if not config.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.cert_file is not None:
        try:
            # An empty password: a key that needs one is refused, instead of asking whoever sits at the terminal.
            context.load_cert_chain(config.cert_file, config.key_file, password="")
        except (OSError, ssl.SSLError) as error:
            files = " and ".join(filter(None, (config.cert_file, config.key_file)))
            raise Denied(config.name, f"certFile and keyFile ({files}) cannot be used: {error}") from None
    return context


def trust_mark(config: DeviceConfig) -> tuple[object, ...]:
    """Another one whenever a file behind `trust` was changed: then connections are to be made anew."""
    return tuple(_mark(path) for path in (config.ca_file, config.cert_file, config.key_file) if path is not None)


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class _Connection(Protocol):
    def close(self) -> None: ...


_C = TypeVar("_C", bound=_Connection)


class Kept(Generic[_C]):
    """One connection that is made with `trust` when it is first needed, and anew once a file behind `trust` was changed."""

    def __init__(self, config: DeviceConfig, make: Callable[[DeviceConfig], _C]) -> None:
        self._config = config
        self._make = make
        self._held: _C | None = None
        self._mark: tuple[object, ...] = ()

    def get(self) -> _C:
        """The connection for the files as they are now; what was made with others is closed. Raises as `make` does."""
        mark = trust_mark(self._config)
        if mark != self._mark:
            self.close()
        if self._held is None:
            self._held, self._mark = self._make(self._config), mark
        return self._held

    def close(self) -> None:
        """End the connection; a later `get` makes another."""
        if self._held is not None:
            self._held.close()
            self._held = None


# The alerts by which a TLS server says so (RFC 8446, 6.2), as OpenSSL names them.
_REFUSES_OURS = re.compile(
    r"ALERT_((BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED)"
)


def unanswered(device: str, error: Exception, *, harmless: bool) -> Busy | Denied:
    """What it means that a call over TLS was broken off: Denied where one side does not trust the other's certificate, else Busy.

    `harmless`: the call only reads, or surely never reached the device. Otherwise the words say that a write may have taken effect.
    """
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        text = (
            "its certificate is not trusted; give its authority in caFile, or switch verification off for this device"
        )
        return Denied(device, f"{text} ({reason})")
    if _REFUSES_OURS.search(reason):
        text = "it does not accept the certificate that it was shown, if any; give one that it trusts in certFile and keyFile"
        return Denied(device, f"{text} ({reason})")
    if "UNEXPECTED_EOF" in reason:
        reason += "; a device that asks for a certificate of ours may end a call so: see certFile and keyFile"
    if harmless:
        return Busy(device, f"no answer ({reason})")
    return Busy(device, f"no answer to a write, which may have taken effect: read again ({reason})")


class Adapter(Protocol):
    """One device. Used by one thread at a time."""

    @property
    def device(self) -> str:
        """The device's name in the settings."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can express and guarantee; no call to the device."""
        ...

    @property
    def limits(self) -> Limits:
        """How much it takes; no call to the device."""
        ...

    @property
    def calls(self) -> int:
        """Requests sent to the device since this adapter was opened, logins and repetitions included; never falls. From any thread."""
        ...

    def normalize(self, intent: Intent) -> Objects:
        """The intent as `read` would report it once it is applied. Pure and idempotent; no call to the device.

        Raises Unsupported naming each object that the device cannot express.
        """
        ...

    def read(self, scope: ReadScope) -> Snapshot:
        """What is ours within the scope, the names of what is foreign, version token and fence.

        Raises Busy, Denied.
        """
        ...

    def apply(self, plan: Plan, fence: Fence) -> Outcome:
        """Make the plan true: safe to repeat, safe to stop after any call. The permit is asked before each call that changes something.

        Refuses with FencedOff when a higher epoch or another installation stands in the fence object, with NotOwned when an
        object to change carries no mark of ours. Returns what was observed of each object, never what was sent. Raises Busy,
        Denied, Drifted, Rejected, NotOwned.
        """
        ...

    def raise_fence(self, fence: Fence) -> None:
        """Write the epoch of a new owner into the fence object. Once per take-over; FencedOff when a higher one stands there."""
        ...

    def adopt(self, keys: Collection[ObjectKey], fence: Fence) -> None:
        """Put our mark on what stands under the names of these keys without it: a person has decided that it is ours.

        Nothing else is changed, and nothing where nothing stands or our mark is there already. Raises as `apply`.
        """
        ...

    def active(self) -> bool:
        """Whether everything stored is enforced by now; always True on a device that does not compile later."""
        ...

    def save(self) -> None:
        """Make what is stored survive a restart of the device, where that takes a call of its own."""
        ...

    def flows(self, sources: Collection[str]) -> Sequence[Flow]:
        """The flows that the device tracks and that one of these addresses opened, as far as they can be told exactly; reads only.

        Addresses are canonical. Empty, and no call, without sources or where `capabilities.close_flows` is False. Raises Busy, Denied.
        """
        ...

    def close_flows(self, flows: Collection[Flow], fence: Fence) -> int:
        """Close exactly these flows, each by its addresses, protocol and both ports; returns how many of them were there to close.

        No call that closes can be built without a source address. Safe to repeat: a flow that is over is not counted. The permit is asked
        before each call. 0, and no call, without flows or where `capabilities.close_flows` is False. Raises Busy, Denied, FencedOff.
        """
        ...

    def examine(self) -> Sequence[Finding]:
        """What a look at the device shows: its version, whose credentials these are, what they lack and what they need not have.

        Reads only, and tells what cannot be told. Raises Busy, Denied where the device cannot be asked at all.
        """
        ...

    def close(self) -> None:
        """Give back sessions and tokens; never raises."""
        ...


class AdapterFactory(Protocol):
    """What the entry point names.

    One that also has `ambient = True` opens devices without any credentials in the settings: it finds them in its surroundings.
    """

    kind: str

    def capabilities(self, config: DeviceConfig) -> Capabilities:
        """As the adapter would say, without a device."""
        ...

    def limits(self, config: DeviceConfig) -> Limits:
        """As the adapter would say, without a device."""
        ...

    def problems(self, config: DeviceConfig) -> Mapping[str, str]:
        """What is wrong with `scope` and `attach`, by path; empty when nothing is. No call to the device."""
        ...

    def open(self, config: DeviceConfig) -> Adapter:
        """An adapter for this device; no call is made before the first read."""
        ...
