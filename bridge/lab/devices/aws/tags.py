"""Tags on what is there."""

from collections.abc import Mapping

from bridge.lab.devices.aws.answers import Refusal, no_group, no_list
from bridge.lab.devices.aws.backend import OWNED_BY_AWS
from bridge.lab.devices.aws.desk import Desk, Told
from bridge.lab.devices.aws.item import Item, PrefixList
from bridge.lab.devices.aws.paging import page
from bridge.lab.devices.aws.values import check_tags

_KINDS = {"pl": "prefix-list", "sg": "security-group", "sgr": "security-group-rule"}


class Tags(Desk):
    """The actions on tags of prefix lists, security groups and their rules."""

    def create(self) -> Told:
        """New tags, and other values of those that are there."""
        tags = self.given.get("Tags") or []
        found = [self._tagged(name) for name in self.given.get("Resources") or []]
        for one in found:
            check_tags(tags, self.device.limits.tags, dict(one.tags))
        for one in found:
            self.device.backend.moto.tags[one.id].update({tag["Key"]: tag.get("Value") or "" for tag in tags})
        self.touch(*(one.id for one in found))
        return {"Return": True}

    def delete(self) -> Told:
        """Tags by their keys, by key and value, or all; what is not there is gone already."""
        found = [self._tagged(name) for name in self.given.get("Resources") or []]
        for one in found:
            held = self.device.backend.moto.tags[one.id]
            for key in list(held):
                if self._leaves(key, held):
                    del held[key]
        self.touch(*(one.id for one in found))
        return {"Return": True}

    def describe(self) -> Told:
        """Of what is kept here, in pages."""
        wanted = {one["Name"]: one.get("Values") or [] for one in self.given.get("Filters") or []}
        told = [
            {"ResourceId": one.id, "ResourceType": _KINDS[one.id.split("-")[0]], "Key": key, "Value": value}
            for one in self.device.store.state.values()
            for key, value in one.tags
        ]
        fields = {"resource-id": "ResourceId", "resource-type": "ResourceType", "key": "Key", "value": "Value"}
        if unknown := set(wanted) - set(fields):
            raise Refusal("InvalidParameterValue", f"The filter '{min(unknown)}' is invalid")
        told = [one for one in told if all(one[fields[name]] in values for name, values in wanted.items())]
        found, token = page(told, self.given, 5, 1000, 1000)
        return {"Tags": found, "NextToken": token}

    def _leaves(self, key: str, held: Mapping[str, str]) -> bool:
        tags = self.given.get("Tags")
        if not tags:
            return True
        return any(tag.get("Key") == key and tag.get("Value") in (None, held[key]) for tag in tags)

    def _tagged(self, name: str) -> Item:
        found = self.device.store.state.get(name)
        if found is None:
            if name.startswith("pl-"):
                raise no_list(name)
            if name.startswith("sg-"):
                raise no_group(name)
            raise Refusal("InvalidID", f"The ID '{name}' is not valid")
        if isinstance(found, PrefixList) and found.owner == OWNED_BY_AWS:
            raise Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
        return found
