"""Managed prefix lists: versions, sizes, one change at a time, each of which takes a while."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.lab.devices.aws.answers import Refusal, invalid, no_list
from bridge.lab.devices.aws.backend import OWNED_BY_AWS
from bridge.lab.devices.aws.desk import Desk, Told
from bridge.lab.devices.aws.item import PrefixList
from bridge.lab.devices.aws.paging import filtered, page
from bridge.lab.devices.aws.store import Author
from bridge.lab.devices.aws.values import check_description, check_name, check_prefix
from bridge.lab.devices.aws.weights import overloaded

_RESERVED = "com.amazonaws"


@dataclass(frozen=True, slots=True)
class Pending:
    """A change of a prefix list that is not done yet: it ends at that time."""

    at: float
    end: Callable[[], None]
    author: Author


class PrefixLists(Desk):
    """The actions on managed prefix lists."""

    def create(self) -> Told:
        """Refused where it breaks a rule; the same again for a repeated ClientToken."""
        given, limits = self.given, self.device.limits
        family, size = given.get("AddressFamily"), int(given.get("MaxEntries") or 0)
        if family not in ("IPv4", "IPv6"):
            raise invalid(f"Value ( {family} ) for parameter addressFamily is invalid.")
        check_name(given.get("PrefixListName") or "", "prefixListName", _RESERVED)
        self._check_size(size)
        entries = self._entries(given.get("Entries") or [], family)
        if len(entries) > size:
            raise _too_many(size)
        tags = self.tags("prefix-list")
        known = self._repeated()
        if known is None:
            own = [one for one in self.device.store.state.prefix_lists() if one.owner != OWNED_BY_AWS]
            if len(own) >= limits.prefix_lists:
                raise Refusal("PrefixListLimitExceeded", "You've reached the limit on the number of prefix lists.")
            known = self._create(given, entries, tags, size)
        return self._shown(known)

    def modify(self) -> Told:
        """Entries, or the size, or the name; one at a time."""
        given = self.given
        found, held = self._own(given)
        add, remove = given.get("AddEntries") or [], given.get("RemoveEntries") or []
        size = given.get("MaxEntries")
        if (add or remove) and size is not None:
            raise Refusal(
                "InvalidParameterCombination",
                "You cannot modify the entries and the maximum entries for the prefix list in the same request.",
            )
        if given.get("PrefixListName"):
            check_name(given["PrefixListName"], "prefixListName", _RESERVED)
        entries = self._changed(found, held, add, remove, given)
        if size is not None:
            self._check_size(int(size))
            if int(size) < len(held.entries):
                raise invalid("The maximum number of entries cannot be less than the number of entries.")

        def end() -> None:
            self._end(found, given.get("PrefixListName"), size, entries)

        return self._begin(found, "modify", end)

    def restore(self) -> Told:
        """The entries of an earlier version, as a new one."""
        given = self.given
        found, held = self._own(given)
        self._check_version(held, given)
        entries = found.entries.get(int(given["PreviousVersion"]))
        if entries is None:
            raise invalid(f"The version {given['PreviousVersion']} does not exist.")
        return self._begin(found, "restore", lambda: self._end(found, None, None, entries, "restore"))

    def delete(self) -> Told:
        """Not while a security group refers to it."""
        found, held = self._own(self.given)
        users = sorted({rule.group for rule in self.device.store.state.rules() if rule.peer == held.id})
        if users:
            raise Refusal("DependencyViolation", f"The prefix list '{held.id}' is in use by {', '.join(users[:10])}.")
        lists = self.device.backend.moto.managed_prefix_lists
        return self._begin(found, "delete", lambda: lists.pop(held.id))

    def describe(self) -> Told:
        """In pages."""
        given = self.given
        wanted = given.get("PrefixListIds") or []
        for name in wanted:
            if self.device.store.state.prefix_list(name) is None:
                raise no_list(name)
        lists = (one for one in self.device.store.state.prefix_lists() if not wanted or one.id in wanted)
        most = self.device.limits.list_page
        found, token = page(filtered(lists, given), given, 1, most, most)
        return {"PrefixLists": [one.show() for one in found], "NextToken": token}

    def entries(self) -> Told:
        """In pages, of the latest version or of the one that is asked for."""
        given = self.given
        found = self.device.backend.prefix_list(given.get("PrefixListId") or "")
        if found is None:
            raise no_list(given.get("PrefixListId") or "")
        version = int(given["TargetVersion"]) if given.get("TargetVersion") else (found.version or 1)
        if version > (found.version or 1) or version < 1:
            raise invalid(f"The version {version} of the prefix list does not exist.")
        most = self.device.limits.entry_page
        entries, token = page(list(found.entries.get(version, ())), given, 1, most, most)
        return {"Entries": entries, "NextToken": token}

    def associations(self) -> Told:
        """The security groups whose rules refer to it."""
        given = self.given
        _, held = self._own(given)
        users = dict.fromkeys(rule.group for rule in self.device.store.state.rules() if rule.peer == held.id)
        found, token = page(list(users), given, 5, 255, 255)
        told = [{"ResourceId": name, "ResourceOwner": self.device.backend.account} for name in found]
        return {"PrefixListAssociations": told, "NextToken": token}

    # ---- checks

    def _own(self, given: Mapping[str, Any]) -> tuple[Any, PrefixList]:
        """moto's own and what we know of it; Refusal where there is none, or it is Amazon's."""
        name = given.get("PrefixListId") or ""
        held = self.device.store.state.prefix_list(name)
        if held is None:
            raise no_list(name)
        if held.owner == OWNED_BY_AWS:
            raise Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        return self.device.backend.prefix_list(name), held

    def _check_size(self, size: int) -> None:
        if not 1 <= size <= self.device.limits.entries:
            raise invalid(f"The maximum number of entries must be between 1 and {self.device.limits.entries}.")

    def _entries(self, entries: Sequence[Mapping[str, str]], family: str) -> dict[str, str]:
        """The entries by prefix; Refusal for one that cannot be, for one given twice, and for too many."""
        if len(entries) > self.device.limits.changes:
            raise invalid(f"The number of entries per request cannot exceeds limit ({self.device.limits.changes}).")
        found: dict[str, str] = {}
        for one in entries:
            prefix = check_prefix(one.get("Cidr") or "", family)
            if prefix in found:
                raise Refusal("InvalidPrefixListModification", f"The CIDR ({prefix}) is given twice.")
            found[prefix] = check_description(one.get("Description"), "entry description")
        return found

    def _check_version(self, held: PrefixList, given: Mapping[str, Any]) -> None:
        if not given.get("CurrentVersion"):
            raise Refusal("MissingParameter", "The request must contain the parameter CurrentVersion")
        if int(given["CurrentVersion"]) != held.version:
            raise Refusal("PrefixListVersionMismatch", "The prefix list has the incorrect version number.")

    def _changed(
        self,
        found: Any,  # noqa: ANN401 - moto's own
        held: PrefixList,
        add: Sequence[Mapping[str, str]],
        remove: Sequence[Mapping[str, str]],
        given: Mapping[str, Any],
    ) -> list[dict[str, str]] | None:
        """The entries after the change; None where they are not to change."""
        self._check_state(found)
        if given.get("CurrentVersion") or add or remove:
            self._check_version(held, given)
        if not add and not remove:
            return None
        coming, going = self._entries(add, held.family), self._entries(remove, held.family)
        there = dict(held.entries)
        for prefix in going:
            if prefix not in there:
                raise Refusal("InvalidPrefixListModification", f"An entry with the CIDR ({prefix}) does not exist.")
            del there[prefix]
        for prefix, description in coming.items():
            if prefix in there or prefix in going:
                words = f"An entry with the CIDR ({prefix}) and description ({description}) already exists."
                raise Refusal("InvalidPrefixListModification", words)
        room = (held.max_entries or 0) - len(there if self.device.limits.removals_first else held.entries)
        if len(coming) > room:
            raise _too_many(held.max_entries or 0)
        return _wire(there | coming)

    def _check_state(self, found: Any) -> None:  # noqa: ANN401 - moto's own
        if str(found.state).endswith("-in-progress"):
            raise Refusal("IncorrectState", f"The prefix list is in the state {found.state}.")

    # ---- changes

    def _repeated(self) -> Any:  # noqa: ANN401 - moto's own
        """The list that an earlier call with this ClientToken made."""
        token = self.given.get("ClientToken")
        if not token or token not in self.device.tokens:
            return None
        same = {name: value for name, value in self.given.items() if name != "DryRun"}
        asked, name = self.device.tokens[token]
        if asked != same:
            raise Refusal("IdempotentParameterMismatch", "The client token was used with other parameters before.")
        return self.device.backend.prefix_list(name)

    def _create(self, given: Mapping[str, Any], entries: Mapping[str, str], tags: Mapping[str, str], size: int) -> Any:  # noqa: ANN401
        made = self.device.backend.moto.create_managed_prefix_list(
            address_family=given["AddressFamily"],
            entry=_wire(entries),
            max_entries=str(size),
            prefix_list_name=given["PrefixListName"],
            tags=tags,
        )
        made.entries.setdefault(1, [])
        if given.get("ClientToken"):
            asked = {name: value for name, value in given.items() if name != "DryRun"}
            self.device.tokens[given["ClientToken"]] = (asked, made.id)
        self._begin(made, "create", lambda: setattr(made, "state", "create-complete"))
        return made

    def _begin(self, found: Any, what: str, end: Callable[[], None]) -> Told:  # noqa: ANN401 - moto's own
        """The change is accepted, and ends later: at once after the answer where nothing takes time, and then it is one write."""
        self._check_state(found)
        found.state, found.state_message = f"{what}-in-progress", None
        if self.device.settling:
            self.touch(found.id)
        self.device.pend(found.id, end, self.author)
        return self._shown(found)

    def _end(
        self,
        found: Any,  # noqa: ANN401 - moto's own
        name: str | None,
        size: str | int | None,
        entries: Iterable[dict[str, str]] | None,
        what: str = "modify",
    ) -> None:
        """The change happens, or fails where a security group that refers to the list cannot hold what it would weigh."""
        if size is not None and int(size) > int(found.max_entries):
            full = overloaded(self.device.store.state, found.id, int(size), self.device.limits.rules)
            if full:
                found.state = "modify-failed"
                found.state_message = (
                    f"The following resources do not support the new maximum size: {', '.join(full[:10])}"
                )
                return
        if size is not None:
            found.max_entries = str(size)
        if name:
            found.prefix_list_name = name
        if entries is not None:
            found.version += 1
            found.entries[found.version] = list(entries)
            found.entries.pop(found.version - self.device.limits.versions, None)
        found.state = f"{what}-complete"

    def _shown(self, found: Any) -> Told:  # noqa: ANN401 - moto's own
        (held,) = self.device.backend.observe([found.id])
        return {"PrefixList": held.show() if isinstance(held, PrefixList) else None}


def _wire(entries: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Cidr": prefix} | ({"Description": words} if words else {}) for prefix, words in entries.items()]


def _too_many(size: int) -> Refusal:
    return Refusal(
        "PrefixListMaxEntriesExceeded", f"You've reached the maximum number of entries ({size}) for the prefix list."
    )
