"""Security groups and their rules: names, quotas by weight, all of a call or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from moto.ec2.models.security_groups import SecurityGroupRule

from bridge.lab.devices.aws.answers import Refusal, invalid, no_group, no_list
from bridge.lab.devices.aws.desk import Desk, Told
from bridge.lab.devices.aws.item import Rule, SecurityGroup, peer_kind, shown_tags
from bridge.lab.devices.aws.paging import filtered, page
from bridge.lab.devices.aws.values import check_description, check_name, check_prefix, check_way
from bridge.lab.devices.aws.weights import fits

_PEERS = (
    ("IpRanges", "CidrIp"),
    ("Ipv6Ranges", "CidrIpv6"),
    ("PrefixListIds", "PrefixListId"),
    ("UserIdGroupPairs", "GroupId"),
)
_CIDRS = {"IPv4": "CidrIp", "IPv6": "CidrIpv6"}
_ONE_PEER = {
    "CidrIpv4": "CidrIp",
    "CidrIpv6": "CidrIpv6",
    "PrefixListId": "PrefixListId",
    "ReferencedGroupId": "GroupId",
}


class SecurityGroups(Desk):
    """The actions on security groups."""

    def create(self) -> Told:
        """Names are unique in a VPC, whatever their case."""
        given, state, limits = self.given, self.device.store.state, self.device.limits
        name = check_name(given.get("GroupName") or "", "groupName", "sg-")
        check_description(given.get("Description") or "", "groupDescription")
        vpc = given.get("VpcId") or self.device.backend.vpc
        if vpc not in self.device.backend.moto.vpcs:
            raise Refusal("InvalidVpcID.NotFound", f"The vpc ID '{vpc}' does not exist")
        if any(one.vpc == vpc and one.name.lower() == name.lower() for one in state.groups()):
            raise Refusal("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc}'")
        if sum(1 for _ in state.groups()) >= limits.groups:
            raise Refusal("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
        tags = self.tags("security-group")
        made = self.device.backend.moto.create_security_group(name, given["Description"], vpc_id=vpc, tags=tags)
        self.touch(made.id)
        return {"GroupId": made.id, "SecurityGroupArn": made.arn, "Tags": shown_tags(tags)}

    def delete(self) -> Told:
        """Not while an interface wears it or another group's rule refers to it."""
        group = self._group(self.given)
        if group.default:
            raise Refusal(
                "CannotDelete", f"the specified group: '{group.id}' name: 'default' cannot be deleted by a user"
            )
        refers = any(rule.peer == group.id and rule.group != group.id for rule in self.device.store.state.rules())
        if refers or self.device.worn(group.id):
            raise Refusal("DependencyViolation", f"resource {group.id} has a dependent object")
        self.device.backend.moto.delete_security_group(group_id=group.id)
        self.touch(group.id)
        return {"Return": True, "GroupId": group.id}

    def authorize_ingress(self) -> Told:
        """New rules, all or none."""
        return self._authorize(egress=False)

    def authorize_egress(self) -> Told:
        """New rules, all or none."""
        return self._authorize(egress=True)

    def revoke_ingress(self) -> Told:
        """Rules by their ids or by what they say, all or none."""
        return self._revoke(egress=False)

    def revoke_egress(self) -> Told:
        """Rules by their ids or by what they say, all or none."""
        return self._revoke(egress=True)

    def describe_ingress(self) -> Told:
        """Other descriptions of rules that are there."""
        return self._describe_anew(egress=False)

    def describe_egress(self) -> Told:
        """Other descriptions of rules that are there."""
        return self._describe_anew(egress=True)

    def modify_rules(self) -> Told:
        """Other rules under the same ids; a rule keeps the kind of its peer."""
        group = self._group(self.given)
        there = {rule.id: rule for rule in self.device.store.state.rules(group.id)}
        changed: dict[str, Rule] = {}
        for one in self.given.get("SecurityGroupRules") or []:
            name = one.get("SecurityGroupRuleId") or ""
            if name not in there:
                raise Refusal(
                    "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist"
                )
            changed[name] = self._modified(there[name], one.get("SecurityGroupRule") or {})
        self._check_room([changed.get(name, rule) for name, rule in there.items()])
        moto = self.device.backend.group(group.id)
        for held in (*moto.ingress_rules, *moto.egress_rules):
            if held.id in changed:
                _rewrite(held, changed[held.id])
        self.touch(group.id)
        return {"Return": True}

    def show(self) -> Told:
        """In pages, where the call asks for pages."""
        given, state = self.given, self.device.store.state
        wanted, named = given.get("GroupIds") or [], given.get("GroupNames") or []
        for name in wanted:
            if state.group(name) is None:
                raise no_group(name)
        groups = [
            one for one in state.groups() if (not wanted or one.id in wanted) and (not named or one.name in named)
        ]
        if missing := set(named) - {one.name for one in groups}:
            raise no_group(min(missing))
        found, token = page(filtered(groups, given), given, 5, self.device.limits.group_page)
        rules: dict[str, list[Rule]] = {}
        for rule in state.rules():
            rules.setdefault(rule.group, []).append(rule)
        return {"SecurityGroups": [one.show(rules.get(one.id, ())) for one in found], "NextToken": token}

    def show_rules(self) -> Told:
        """In pages of 1000 at most."""
        given, state = self.given, self.device.store.state
        wanted = given.get("SecurityGroupRuleIds") or []
        for name in wanted:
            if not isinstance(state.get(name), Rule):
                raise Refusal(
                    "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist"
                )
        rules = (one for one in state.rules() if not wanted or one.id in wanted)
        most = self.device.limits.group_page
        found, token = page(filtered(rules, given), given, 5, most, most)
        return {"SecurityGroupRules": [one.show() for one in found], "NextToken": token}

    # ---- rules

    def _authorize(self, *, egress: bool) -> Told:
        group = self._group(self.given)
        coming = list(self._rules(group, egress=egress))
        tags = self.tags("security-group-rule")
        there = list(self.device.store.state.rules(group.id))
        known = {rule.matches for rule in there}
        for rule in coming:
            if rule.matches in known:
                raise Refusal(
                    "InvalidPermission.Duplicate",
                    f'the specified rule "peer: {rule.peer}, {rule.protocol}, from port: {rule.low}, to port: {rule.high},'
                    ' ALLOW" already exists',
                )
            known.add(rule.matches)
        self._check_room([*there, *coming])
        moto = self.device.backend.group(group.id)
        made = [self._put(moto, rule, tags) for rule in coming]
        self.touch(group.id)
        state = self.device.store.state
        shown = [found.show() for name in made if isinstance(found := state.get(name), Rule)]
        return {"Return": True, "SecurityGroupRules": shown}

    def _put(self, moto: Any, rule: Rule, tags: Mapping[str, str]) -> str:  # noqa: ANN401 - moto's own
        """The rule in moto, with the description that moto would forget beside a prefix list; its id."""
        words = {"Description": rule.description} if rule.description else {}
        kind = peer_kind(rule.peer)
        made = SecurityGroupRule(
            moto.ec2_backend,
            rule.protocol,
            moto.id,
            str(rule.low),
            str(rule.high),
            {_CIDRS[kind]: rule.peer} | words if kind in _CIDRS else words if kind == "list" else None,
            {"GroupId": rule.peer} | words if kind == "group" else None,
            {"PrefixListId": rule.peer} if kind == "list" else None,
            is_egress=rule.egress,
            tags=dict(tags),
        )
        (moto.add_egress_rule if rule.egress else moto.add_ingress_rule)(made)
        return str(made.id)

    def _revoke(self, *, egress: bool) -> Told:
        group = self._group(self.given)
        wanted = self.given.get("SecurityGroupRuleIds") or []
        there = [rule for rule in self.device.store.state.rules(group.id) if rule.egress is egress]
        if wanted and self.given.get("IpPermissions"):
            raise Refusal("InvalidParameterCombination", "Rule ids and permissions cannot be given together")
        by_id, by_sense = {rule.id: rule for rule in there}, {rule.matches: rule for rule in there}
        going: list[Rule] = []
        for name in wanted:
            if name not in by_id:
                raise Refusal(
                    "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist"
                )
            going.append(by_id[name])
        for rule in () if wanted else self._rules(group, egress=egress):
            if rule.matches not in by_sense:
                raise Refusal("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            going.append(by_sense[rule.matches])
        names = {rule.id for rule in going}
        moto = self.device.backend.group(group.id)
        side = "egress_rules" if egress else "ingress_rules"
        setattr(moto, side, [rule for rule in getattr(moto, side) if rule.id not in names])
        self.touch(group.id)
        return {"Return": True}

    def _describe_anew(self, *, egress: bool) -> Told:
        group = self._group(self.given)
        there = {rule.matches: rule for rule in self.device.store.state.rules(group.id)}
        words: dict[str, str] = {}
        for one in self.given.get("SecurityGroupRuleDescriptions") or []:
            name = one.get("SecurityGroupRuleId") or ""
            if not any(rule.id == name and rule.egress is egress for rule in there.values()):
                raise Refusal(
                    "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{name}' does not exist"
                )
            words[name] = check_description(one.get("Description"), ampersand=False)
        for rule in self._rules(group, egress=egress) if self.given.get("IpPermissions") else ():
            if rule.matches not in there:
                raise Refusal("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            words[there[rule.matches].id] = rule.description
        moto = self.device.backend.group(group.id)
        for held in (*moto.ingress_rules, *moto.egress_rules):
            if held.id in words:
                (held.source_group if held.source_group else held.ip_range)["Description"] = words[held.id]
        self.touch(group.id)
        return {"Return": True}

    # ---- checks

    def _group(self, given: Mapping[str, Any]) -> SecurityGroup:
        name = given.get("GroupId") or ""
        if not name:
            raise Refusal("MissingParameter", "The request must contain the parameter groupName or groupId")
        found = self.device.store.state.group(name)
        if found is None:
            raise no_group(name)
        return found

    def _rules(self, group: SecurityGroup, *, egress: bool) -> Iterator[Rule]:
        """The rules that the permissions of a call stand for."""
        permissions: Sequence[Mapping[str, Any]] = self.given.get("IpPermissions") or [_single(self.given)]
        rules = [rule for one in permissions for rule in self._permitted(group, one, egress=egress)]
        if not rules:
            raise Refusal("MissingParameter", "The request must contain the parameter ipPermissions")
        if len(rules) > self.device.limits.permissions:
            raise invalid(f"No more than {self.device.limits.permissions} rules are taken at once.")
        yield from rules

    def _permitted(self, group: SecurityGroup, permission: Mapping[str, Any], *, egress: bool) -> Iterator[Rule]:
        protocol, low, high = check_way(permission)
        for many, one in _PEERS:
            for peer in permission.get(many) or []:
                name = self._check_peer(one, peer.get(one) or "")
                words = check_description(peer.get("Description"), ampersand=one == "CidrIp")
                yield Rule("", group.id, group.owner, egress, protocol, low, high, name, words, ())

    def _check_peer(self, kind: str, name: str) -> str:
        state = self.device.store.state
        if kind == "PrefixListId":
            found = state.prefix_list(name)
            if found is None:
                raise no_list(name)
            if found.state in ("create-in-progress", "delete-in-progress"):
                raise Refusal("IncorrectState", f"The prefix list is in the state {found.state}.")
        elif kind == "GroupId":
            if state.group(name) is None:
                raise no_group(name)
        else:
            check_prefix(name, "IPv4" if kind == "CidrIp" else "IPv6")
        return name

    def _check_room(self, rules: Sequence[Rule]) -> None:
        if not fits(self.device.store.state, rules, self.device.limits.rules):
            raise Refusal(
                "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
            )

    def _modified(self, rule: Rule, asked: Mapping[str, Any]) -> Rule:
        peers = [(name, asked[name]) for name in _ONE_PEER if asked.get(name)]
        if len(peers) != 1:
            raise Refusal(
                "InvalidParameterCombination",
                "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified",
            )
        protocol, low, high = check_way(asked)
        peer = self._check_peer(_ONE_PEER[peers[0][0]], peers[0][1])
        if peer_kind(peer) != peer_kind(rule.peer):
            raise invalid(f"Invalid rule type for security group rule '{rule.id}'.")
        words = check_description(asked.get("Description"), ampersand=False)
        return Rule(rule.id, rule.group, rule.owner, rule.egress, protocol, low, high, peer, words, rule.tags)


def _single(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The short form of a call: one permission in its own parameters."""
    permission = {name: given.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
    return permission | {"IpRanges": [{"CidrIp": given["CidrIp"]}] if given.get("CidrIp") else []}


def _rewrite(held: Any, rule: Rule) -> None:  # noqa: ANN401 - moto's own
    held.ip_protocol = rule.protocol
    held.from_port, held.to_port = (None, None) if rule.protocol == "-1" else (rule.low, rule.high)
    words = {"Description": rule.description} if rule.description else {}
    kind = peer_kind(rule.peer)
    if kind == "list":
        held.prefix_list_id, held.ip_range = rule.peer, words
    elif kind == "group":
        held.source_group = {"GroupId": rule.peer} | words
    else:
        held.ip_range = {_CIDRS[kind]: rule.peer} | words
