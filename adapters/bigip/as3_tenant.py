"""The tenant that AS3 keeps for us: read as the device has it, and declared anew as a whole with each change.

AS3 takes everything in its tenant for its own and deletes what is not declared. So before each declaration the partition is read: what
stands there and is neither ours nor declared by somebody else stops the declaration, by name.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.bigip import as3_wire as wire
from adapters.bigip.as3_client import As3, Refused
from adapters.bigip.as3_declare import Json, Words, told_tiers
from adapters.bigip.client import Client
from adapters.bigip.known import Known
from adapters.bigip.names import APPLICATION, DECLARED, Names
from adapters.bigip.reading import LISTED, Found, Reader
from adapters.bigip.records import LONG_NAMES, Records
from adapters.bigip.wire import Item, RuleHolder
from bridge.errors import DeviceError, Drifted, NotOwned, Rejected
from bridge.model.identity import Kind, ObjectKey
from bridge.model.intent import DeviceObject, Objects, Policy
from bridge.model.plan import Step
from bridge.model.policy import Tier
from bridge.model.tiers import attachment, policy_key

_VIRTUAL = "ltm/virtual"
_ANY = re.compile(r"(?:/.*/)?(?:0\.0\.0\.0|::|any6?)(?:%[0-9]+)?(?:/0)?[:.](?:0|any)\Z")
_OUR_OWN = ("class", "remark", "optimisticLockKey", APPLICATION)
_GONE = ("was not found", "non-existent", "do not point at an item", "does not exist")


@dataclass(frozen=True, slots=True)
class Declared:
    """A tenant as it was declared last, whole and without its optimistic lock, which is `key`; empty where there is none."""

    body: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    ours: bool = True

    @property
    def items(self) -> dict[str, Any]:
        """The items of our application."""
        own = self.body.get(APPLICATION)
        found = own.items() if isinstance(own, Mapping) else ()
        return {name: one for name, one in found if name not in ("class", "template")}

    @property
    def rest(self) -> dict[str, Any]:
        """What else was declared in it."""
        return {name: one for name, one in self.body.items() if name not in _OUR_OWN}


@dataclass(frozen=True, slots=True)
class Bound:
    """The tiers that our policy on the virtual servers says that it holds, and the rule lists that it does hold."""

    told: Collection[Tier] = ()
    lists: tuple[str, ...] = ()

    def tiers(self, objects: Objects, names: Names) -> set[Tier]:
        """The tiers that are enforced: all that it tells of, or none where it does not hold just their lists."""
        policies = [objects.get(policy_key(tier)) for tier in Tier if tier in self.told]
        wanted = tuple(names.path(key) for one in policies if isinstance(one, Policy) for key in one.lists)
        return set(self.told) if None not in policies and wanted == self.lists else set()


NOTHING = Bound()


class Tenant:
    """Reads and declares the tenant of one owner."""

    def __init__(self, client: Client, as3: As3, words: Words, known: Known, records: Records) -> None:
        self._client = client
        self._as3 = as3
        self._words = words
        self._names = words.names
        self._known = known
        self._records = records
        self._last: Mapping[str, Any] | None = None

    def look(self) -> None:
        """Before everything is read: what is declared by then is what the next declaration supposes."""
        self._last = self._declared().body

    def bound(self, policies: Iterable[RuleHolder]) -> Bound:
        """What is enforced on every virtual server that the settings name, as these say it; `policies` are those of the device."""
        declared = self._declared()
        enforced = next((one for one in policies if one.full_path == self._names.enforced), None)
        if enforced is None or not self._as_wanted(declared):
            return NOTHING
        lists = tuple(rule.rule_list if rule.status == "enabled" else "" for rule in enforced.rules_reference.items)
        return Bound(told_tiers(enforced.description, self._names), lists)

    def beyond(self) -> list[str]:
        """Virtual servers outside of the tenant that take traffic to any address, as that of pods is; AS3 binds none of them."""
        found = (self._client.decoded(raw, wire.Virtual) for raw in self._client.items(_VIRTUAL))
        outside = (one for one in found if not one.full_path.startswith(f"/{self._words.scope.tenant}/"))
        return sorted(one.full_path for one in outside if _ANY.match(one.destination))

    def standing(self, kinds: Collection[Kind] = LISTED) -> Found:
        """The firewall's objects in the partition."""
        return Reader(self._client, self._known.translator()).everything(self._words.scope.tenant, kinds)

    def declare(self, steps: Sequence[Step], check: Callable[[], None]) -> dict[ObjectKey, DeviceObject | None]:
        """Make these steps true by one declaration; what the device then holds of each object. `check` is asked before it.

        Raises every error of the contract.
        """
        declared = self._declared()
        if self._last is not None and declared.body != self._last:
            raise Drifted(self._client.device, "our tenant was declared anew by somebody else: read again")
        self._check_free(declared, steps)
        self._remember(steps, check)
        check()
        body = self._body(declared, steps)
        try:
            self._as3.deploy(self._words.scope.tenant, body)
        except Refused as refused:
            why = refused.text
        else:
            self._last = _as_kept(body[self._words.scope.tenant])
            observed = self._observed(steps)
            self._forget(steps, check)
            return observed
        raise self._explained(why, steps, declared)

    # ---- what stands

    def _declared(self) -> Declared:
        tenant = self._as3.declared(self._words.scope.tenant)
        if tenant is None:
            return Declared()
        key, ours = str(tenant.get("optimisticLockKey", "")), tenant.get("remark") == self._words.mark
        return Declared(_as_kept(tenant), key, ours)

    def _body(self, declared: Declared, steps: Iterable[Step]) -> Json:
        return self._words.declaration(self._words.edited(declared.items, steps), declared.rest, declared.key)

    def _check_free(self, declared: Declared, steps: Iterable[Step]) -> None:
        """Refuse to declare where that would take away what is not ours."""
        tenant = self._words.scope.tenant
        if not declared.body:
            if any(key.kind in DECLARED for key in self._known.owned):
                raise Drifted(self._client.device, f"AS3 knows no tenant {tenant} any more: read again")
            if self._client.find(f"auth/partition/{tenant}", Item) is not None:
                raise self._not_owned([f"/{tenant}"], steps)
            return
        strange = [f"/{tenant}"] if not declared.ours else sorted(self._strange(declared))
        if strange:
            raise self._not_owned(strange, steps)
        theirs = self._theirs(declared)
        taken = {str(step.key): sorted(self._paths(step, declared) & theirs) for step in steps}
        names = {path for paths in taken.values() for path in paths}
        if names:
            why = {key: f"{', '.join(paths)} is declared by somebody else" for key, paths in taken.items() if paths}
            raise NotOwned(self._client.device, sorted(names), why)

    def _paths(self, step: Step, declared: Declared) -> set[str]:
        """What a step declares."""
        if step.key.kind is Kind.ATTACHMENT:
            services = self._words.services(declared.items)
            return {self._names.enforced, *(f"{self._names.application}/{name}" for name in services)}
        return {self._names.path(step.key)}

    def _theirs(self, declared: Declared) -> set[str]:
        """What others declared in our application."""
        items = declared.items.items()
        return {f"{self._names.application}/{name}" for name, one in items if not self._words.is_ours(name, one)}

    def _strange(self, declared: Declared) -> set[str]:
        """What stands in the partition and is neither ours nor declared by others."""
        ours = {f"{self._names.application}/{name}" for name in self._services(declared)}
        found = {one.name for one in self.standing().foreign} | (self._virtuals().keys() - ours)
        applications = tuple(f"/{self._words.scope.tenant}/{name}/" for name in declared.rest)
        return {path for path in found - self._theirs(declared) if not path.startswith(applications)}

    def _virtuals(self) -> dict[str, str]:
        """The policy of each virtual server in the partition, by its path."""
        tenant = self._words.scope.tenant
        found = [self._client.decoded(raw, wire.Virtual) for raw in self._client.items(_VIRTUAL, partition=tenant)]
        return {one.full_path: one.fw_enforced_policy for one in found if one.full_path.startswith(f"/{tenant}/")}

    def _as_wanted(self, declared: Declared) -> bool:
        """Whether the virtual servers of the settings are declared as they say, no other of ours, and enforce our policy."""
        wanted = self._words.services(declared.items)
        if not declared.ours or not wanted or self._services(declared) != wanted:
            return False
        held = self._virtuals()
        return all(held.get(f"{self._names.application}/{name}") == self._names.enforced for name in wanted)

    def _services(self, declared: Declared) -> dict[str, Any]:
        return {name: one for name, one in declared.items.items() if self._words.is_service(one)}

    # ---- after a declaration

    def _observed(self, steps: Iterable[Step]) -> dict[ObjectKey, DeviceObject | None]:
        """What the device holds of what was declared. Drifted where it shows something else."""
        last = {step.key: step.after for step in steps}
        touched = {key.kind for key in last}
        found = self.standing({Kind.POLICY if kind is Kind.ATTACHMENT else kind for kind in touched})
        objects: dict[ObjectKey, DeviceObject | None] = {**found.objects}
        if Kind.ATTACHMENT in touched:
            tiers = self.bound(found.policies).tiers(found.objects, self._names)
            objects.update({one.key: one for one in map(attachment, tiers)})
        wrong = [key for key, after in last.items() if objects.get(key) != after]
        if wrong:
            raise Drifted(self._client.device, f"{wrong[0]} does not show what was declared")
        self._known.owned -= {key for key, after in last.items() if after is None}
        self._known.owned |= {key for key, after in last.items() if after is not None}
        return {key: objects.get(key) for key in last}

    def _remember(self, steps: Iterable[Step], check: Callable[[], None]) -> None:
        """A long name leads back to its key by the record only: it is written before the object that is called so."""
        long = {
            self._names.name(s.key): str(s.key) for s in steps if s.after is not None and self._names.is_long(s.key)
        }
        self._index({**self._known.index, **long} if long else self._known.index, check)

    def _forget(self, steps: Iterable[Step], check: Callable[[], None]) -> None:
        """After the object is gone that was called so."""
        gone = {self._names.name(step.key) for step in steps if step.after is None}
        self._index({name: key for name, key in self._known.index.items() if name not in gone}, check)

    def _index(self, index: Mapping[str, str], check: Callable[[], None]) -> None:
        if index == self._known.index:
            return
        check()
        self._known.learn_index(self._records.write(LONG_NAMES, index, new=not self._known.indexed))

    # ---- when it is refused

    def _explained(self, why: str, steps: Sequence[Step], declared: Declared) -> DeviceError:
        """The error that a refused declaration is."""
        own = self._names.folder in why or self._names.application in why
        if own and any(words in why for words in _GONE):
            return Drifted(self._client.device, f"not as it was read: {why}")
        blamed = steps[0] if len(steps) == 1 else self._blamed(why, steps)
        if blamed is None:
            blamed, why = self._search(why, steps, declared)
        keys = [blamed.key] if blamed else [step.key for step in steps]
        return Rejected(self._client.device, {str(key): why for key in keys})

    def _blamed(self, why: str, steps: Iterable[Step]) -> Step | None:
        """The step that AS3's or the device's words name first."""
        paths = re.findall(rf"{re.escape(self._names.application)}/([0-9A-Za-z_.-]+)", why)
        names = {self._names.name(step.key): step for step in steps if step.key.kind in DECLARED}
        return next((names[path.rstrip(".")] for path in paths if path.rstrip(".") in names), None)

    def _search(self, why: str, steps: Sequence[Step], declared: Declared) -> tuple[Step | None, str]:
        """The first step that a dry run objects to, found by shorter and shorter beginnings; None when it objects to none."""

        def objection(number: int) -> str:
            return self._as3.objection(self._words.scope.tenant, self._body(declared, steps[:number]))

        sound, failing = 0, len(steps)
        if not objection(failing):
            return None, why
        while failing - sound > 1:
            middle = (sound + failing) // 2
            words = objection(middle)
            if words:
                failing, why = middle, words
            else:
                sound = middle
        return steps[failing - 1], why

    def _not_owned(self, names: Sequence[str], steps: Iterable[Step]) -> NotOwned:
        why = f"AS3 would take {', '.join(names)} out of its tenant, which is not ours"
        return NotOwned(self._client.device, names, {str(step.key): why for step in steps})


def _as_kept(tenant: Mapping[str, Any]) -> dict[str, Any]:
    """A declared tenant as AS3 keeps it: without its lock, and not at all where it declares nothing."""
    kept = {name: one for name, one in tenant.items() if name != "optimisticLockKey"}
    return kept if kept.keys() != {"class"} else {}
