"""A device in memory: it lives in this process under its name, or in a file where several processes are to see it.

Each call changes one object, and is refused unless it names the version that stands there and the claim that its owner has raised. What
people do at its console (`edit`, `put_in_force`) asks for neither.
"""

import fcntl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from bridge.lab.device import Trouble
from bridge.lab.devices.memory import referee
from bridge.lab.devices.memory.checks import Refusal, check
from bridge.lab.devices.memory.contents import PLACES, Body, Bundle, Claim, Contents, Stored
from bridge.model.capabilities import Form
from bridge.policy.evaluate import Packet, Verdict

T = TypeVar("T")
_STATUS = {
    Trouble.UNAUTHORIZED: 401,
    Trouble.FORBIDDEN: 403,
    Trouble.MISSING: 404,
    Trouble.CONFLICT: 409,
    Trouble.TOO_MANY: 429,
    Trouble.UNAVAILABLE: 503,
}


def _problem(trouble: Trouble, token: str) -> Exception:
    """What a client meets instead of an answer."""
    match trouble:
        case Trouble.LOST | Trouble.CUT:
            return ConnectionError("the connection ended")
        case Trouble.SILENCE:
            return TimeoutError("no answer")
        case Trouble.HTML:
            return Page("please log in")
        case Trouble.ECHO:
            return Refusal(400, f"cannot serve {token}")
    return Refusal(_STATUS[trouble], str(trouble))


class Page(Exception):
    """What answers is a page for people, and not the device."""


@dataclass(slots=True)
class Fault:
    """A trouble in the way of the next calls."""

    trouble: Trouble
    skip: int = 0
    times: int | None = None
    writes: bool = False
    hits: int = 0

    def meets(self, *, write: bool) -> bool:
        """Whether this call meets it; counted."""
        if (self.writes and not write) or self.hits == self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True


@dataclass
class MemoryDevice:
    """The device. `history` is every state since it was begun, where somebody asked for it."""

    name: str
    form: Form = Form.ALLOW_ONLY
    file: Path | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    token: str = ""
    calls: int = 0
    faults: list[Fault] = field(default_factory=list)
    history: list[Contents] | None = None
    _held: Contents = field(default_factory=Contents)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # ---- what a client calls

    def read(self, token: str) -> Contents:
        """Everything."""
        return self._call(token, lambda: self.contents, write=False)

    def write(
        self, token: str, owner: str, claim: Claim | None, name: str, version: int, after: Stored | None
    ) -> Stored | None:
        """Create (version 0), replace or delete one object; what stands there then, with its new version."""
        return self._call(token, lambda: self._write(owner, claim, name, version, after), write=True)

    def claim(self, token: str, owner: str, before: Claim | None, after: Claim) -> Claim:
        """Raise an owner's claim in place of the one before."""
        return self._call(token, lambda: self._claim(owner, before, after), write=True)

    def occupy(self, token: str, owner: str, claim: Claim | None, place: str, before: str, after: str) -> str:
        """Put a bundle in force in a place in which another, or none, is; "" takes it out. What is in force there then."""
        return self._call(token, lambda: self._occupy(owner, claim, place, before, after), write=True)

    # ---- what people do and see

    @property
    def contents(self) -> Contents:
        """Everything that it holds."""
        with self._lock:
            if self.file is not None and self.file.exists():
                self._held = msgspec.json.decode(self.file.read_bytes(), type=Contents)
            return self._held

    def verdict(self, packet: Packet) -> Verdict:
        """What it does with a packet now. UNMATCHED is dropped where the device is allow-only, and goes on where it is a list."""
        return referee.verdict(self.contents, packet)

    def edit(self, name: str, tag: str, body: Body | None) -> None:
        """Somebody makes, replaces or deletes an object, whoever made it."""
        with self._alone():
            self._store(name, None if body is None else Stored(tag, body, 0))

    def put_in_force(self, place: str, name: str) -> None:
        """Somebody puts a bundle in a place; "" empties it."""
        with self._alone():
            self._place(place, name)

    def wipe(self) -> None:
        """As new."""
        with self._alone():
            self.faults.clear()
            self.limits = {}
            self._keep(Contents())

    # ---- inside

    def _call(self, token: str, work: Callable[[], T], *, write: bool) -> T:
        with self._alone():
            self.calls += 1
            fault = next((one for one in self.faults if one.meets(write=write)), None)
            if fault is None:
                return self._known(token, work)
            if fault.trouble is Trouble.LOST:
                self._known(token, work)
            raise _problem(fault.trouble, token)

    def _known(self, token: str, work: Callable[[], T]) -> T:
        if self.token and token != self.token:
            raise Refusal(401, "who are you?")
        return work()

    def _write(self, owner: str, claim: Claim | None, name: str, version: int, after: Stored | None) -> Stored | None:
        self._check_claim(owner, claim)
        stands = self._held.objects.get(name)
        if stands is None and version:
            raise Refusal(404, f"{name} is not there")
        if stands is not None and not version:
            raise Refusal(409, f"{name} is there already")
        if stands is not None and stands.version != version:
            raise Refusal(412, f"{name} is version {stands.version}, not {version}")
        return self._store(name, after)

    def _store(self, name: str, after: Stored | None) -> Stored | None:
        held, version = self._held, self._held.version + 1
        objects = dict(held.objects)
        made = None
        if after is None:
            self._check_free(name)
            objects.pop(name, None)
        else:
            check(self.form, self.limits, held, name, after.tag, after.body)
            objects[name] = made = msgspec.structs.replace(after, version=version)
        self._keep(msgspec.structs.replace(held, objects=objects, version=version))
        return made

    def _check_free(self, name: str) -> None:
        users = [other for other, one in self._held.objects.items() if name in one.body.references()]
        users += [f"place {place}" for place, held in self._held.places.items() if held == name]
        if users:
            raise Refusal(409, f"{name} is in use by {', '.join(users[:3])}")

    def _check_claim(self, owner: str, claim: Claim | None) -> None:
        """Nobody writes without a claim, nor under one that stands no more."""
        if claim is None or self._held.claims.get(owner) != claim:
            raise Refusal(412, f"another claim of {owner} stands, or none")

    def _claim(self, owner: str, before: Claim | None, after: Claim) -> Claim:
        if self._held.claims.get(owner) != before:
            raise Refusal(412, f"another claim of {owner} stands")
        claims = {**self._held.claims, owner: after}
        self._keep(msgspec.structs.replace(self._held, claims=claims, version=self._held.version + 1))
        return after

    def _occupy(self, owner: str, claim: Claim | None, place: str, before: str, after: str) -> str:
        self._check_claim(owner, claim)
        if self._held.places.get(place, "") != before:
            raise Refusal(412, f"place {place} holds {self._held.places.get(place) or 'nothing'}")
        self._place(place, after)
        return after

    def _place(self, place: str, name: str) -> None:
        stored = self._held.objects.get(name)
        if place not in PLACES or (name and (stored is None or not isinstance(stored.body, Bundle))):
            raise Refusal(400, f"no bundle {name}, or no place {place}")
        places = {**self._held.places, place: name}
        if not name:
            places.pop(place)
        self._keep(msgspec.structs.replace(self._held, places=places, version=self._held.version + 1))

    def _keep(self, after: Contents) -> None:
        self._held = after
        if self.file is not None:
            new = self.file.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(after))
            new.replace(self.file)
        if self.history is not None:
            self.history.append(after)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else reads or writes meanwhile, in this process or another."""
        with self._lock:
            if self.file is None:
                yield
                return
            with self.file.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                _ = self.contents
                yield


_DEVICES: dict[str, MemoryDevice] = {}
_REGISTRY = threading.Lock()


def memory_device(
    name: str, form: Form = Form.ALLOW_ONLY, file: Path | None = None, limits: Mapping[str, int] | None = None
) -> MemoryDevice:
    """The device of this name in this process, made when it is first asked for. An empty one takes the form that it is asked for in."""
    with _REGISTRY:
        found = _DEVICES.get(name)
        if found is None or found.file != file:
            found = _DEVICES[name] = MemoryDevice(name, form, file)
        if not found.contents.objects:
            found.form = form
        if limits:
            found.limits = limits
        return found
