"""EC2 as it is spoken to: a dozen calls, each with one meaning for each way in which it is refused (see `errors`).

A call that is throttled was not done, and is made again a few times, each time longer after; the permit is asked each time.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from adapters.aws.errors import Meaning, Refusal, judged, raised
from adapters.aws.scope import Scope
from adapters.aws.session import Session
from adapters.aws.values import PrefixList, Rule, Way
from bridge.contract import DeviceConfig
from bridge.errors import Busy, Denied, DeviceError
from bridge.model.addresses import canonical_member

_T = TypeVar("_T")

_PAUSES = (0.1, 0.2, 0.4, 0.8)  # after a throttled call; then it is Busy
_LONG_PAUSE = 5.0
_UNABLE = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "TokenRetrievalError",
)
_WRONG = ("ParamValidationError",)
_ODD = (LookupError, TypeError, ValueError, AttributeError)  # what comes of numbers, prefixes and tags that are none


class Client:
    """One account in one region. The permit is asked before each change."""

    def __init__(self, config: DeviceConfig, scope: Scope) -> None:
        self.device = config.name
        self._config = config
        self._scope = scope
        self._session = Session(config, scope)
        self.calls = 0

    # ---- reading

    def lists(self) -> list[PrefixList]:
        """Every prefix list of the region that one can see, Amazon's among them."""
        told = self._all(PrefixList.of, "describe_managed_prefix_lists", "PrefixLists", MaxResults=100)
        return [one for one in told if not one.gone]

    def named(self, names: Sequence[str]) -> list[PrefixList]:
        """The prefix lists of these ids; Refusal CONFLICT where one is not there."""
        found: list[PrefixList] = []
        for at in range(0, len(names), 100):
            ids = list(names[at : at + 100])
            found += self._all(PrefixList.of, "describe_managed_prefix_lists", "PrefixLists", PrefixListIds=ids)
        return found

    def entries(self, held: PrefixList) -> dict[str, str]:
        """The entries of this version of a list: descriptions by prefix."""
        told = self._all(
            _entry,
            "get_managed_prefix_list_entries",
            "Entries",
            PrefixListId=held.id,
            TargetVersion=held.version,
            MaxResults=100,
        )
        return dict(told)

    def rules(self, name: str, values: Sequence[str]) -> tuple[list[Rule], set[str]]:
        """The inbound entries of security groups that this filter finds, and every security group in which it finds any entry."""
        told = self._all(
            _in_group,
            "describe_security_group_rules",
            "SecurityGroupRules",
            Filters=[{"Name": name, "Values": list(values)}],
            MaxResults=1000,
        )
        return [rule for _, rule in told if rule is not None], {group for group, _ in told}

    def groups(self, names: Sequence[str]) -> set[str]:
        """Those of these security groups that are there; as many as a filter takes."""
        filters = [{"Name": "group-id", "Values": list(names)}]
        return set(self._all(_id, "describe_security_groups", "SecurityGroups", Filters=filters))

    def account(self) -> str:
        """Whose account it is; empty where nothing in it tells."""
        told = self._ask("describe_security_groups", "SecurityGroups", MaxResults=5)["SecurityGroups"]
        return next((str(one.get("OwnerId", "")) for one in told), "")

    def refusal(self, operation: str, **given: Any) -> str:  # noqa: ANN401 - the SDK's own parameters
        """The code with which EC2 answers a call that is only tried: `DryRunOperation` where it would be done. Nothing is changed."""
        try:
            self._ask(operation, "", DryRun=True, **given)
        except Refusal as refusal:
            return refusal.code
        except Denied as denied:
            return "UnauthorizedOperation" if "UnauthorizedOperation" in str(denied) else self._again(denied)
        return ""

    # ---- changing

    def create(self, name: str, family: str, size: int, entries: Iterable[str], tags: Mapping[str, str]) -> PrefixList:
        """A new list."""
        told = self._change(
            "create_managed_prefix_list",
            "PrefixList",
            PrefixListName=name,
            AddressFamily=family,
            MaxEntries=size,
            Entries=[{"Cidr": one} for one in entries],
            TagSpecifications=[{"ResourceType": "prefix-list", "Tags": _written(tags)}],
        )
        return PrefixList.of(told["PrefixList"])

    def modify(self, held: PrefixList, add: Mapping[str, str], remove: Iterable[str]) -> PrefixList:
        """Entries of this version of a list: descriptions by prefix, where they have any."""
        told = self._change(
            "modify_managed_prefix_list",
            "PrefixList",
            PrefixListId=held.id,
            CurrentVersion=held.version,
            AddEntries=[{"Cidr": one, **({"Description": words} if words else {})} for one, words in add.items()],
            RemoveEntries=[{"Cidr": one} for one in remove],
        )
        return PrefixList.of(told["PrefixList"])

    def resize(self, held: PrefixList, size: int) -> PrefixList:
        """Another MaxEntries."""
        told = self._change(
            "modify_managed_prefix_list",
            "PrefixList",
            PrefixListId=held.id,
            CurrentVersion=held.version,
            MaxEntries=size,
        )
        return PrefixList.of(told["PrefixList"])

    def delete(self, held: PrefixList) -> None:
        """The list goes; Refusal IN_USE while an entry of a security group names it."""
        self._change("delete_managed_prefix_list", "PrefixList", PrefixListId=held.id)

    def tag(self, held: PrefixList, tags: Mapping[str, str]) -> None:
        """Tags onto a list."""
        self._change("create_tags", "", Resources=[held.id], Tags=_written(tags))

    def authorize(self, group: str, wanted: Iterable[tuple[Way, str, str]], tags: Mapping[str, str]) -> None:
        """Inbound entries for prefix lists: traffic, id of the list, description; all of them or none."""
        self._change(
            "authorize_security_group_ingress",
            "Return",
            GroupId=group,
            IpPermissions=[_permission(*one) for one in wanted],
            TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": _written(tags)}],
        )

    def revoke(self, group: str, rules: Iterable[str]) -> None:
        """Inbound entries by their ids; all of them or none."""
        self._change("revoke_security_group_ingress", "Return", GroupId=group, SecurityGroupRuleIds=list(rules))

    def close(self) -> None:
        """Give connections back."""
        self._session.close()

    # ---- one call

    def _all(self, of: Callable[[Mapping[str, Any]], _T], operation: str, wanted: str, **given: Any) -> list[_T]:  # noqa: ANN401
        """Everything on all pages. Busy where something of it is not what it should be."""
        try:
            return [of(told) for told in self._pages(operation, wanted, **given)]
        except _ODD as error:
            odd = type(error).__name__
        raise Busy(self.device, f"what answers {operation} is not EC2 ({odd}); read again")

    def _pages(self, operation: str, wanted: str, **given: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
        more: dict[str, Any] = {}
        while True:
            told = self._ask(operation, wanted, **given, **more)
            yield from told[wanted]
            before, more = more, {"NextToken": told.get("NextToken")}
            if not more["NextToken"]:
                return
            if more == before:
                raise Busy(self.device, f"{operation} has one page again and again; read again")

    def _change(self, operation: str, wanted: str, **given: Any) -> Mapping[str, Any]:  # noqa: ANN401
        return self._ask(operation, wanted, change=True, **given)

    def _ask(self, operation: str, wanted: str, *, change: bool = False, **given: Any) -> Mapping[str, Any]:  # noqa: ANN401
        """One call, again while it is throttled. Busy where the answer is not one of EC2, or lacks what is wanted."""
        told = self._sent(operation, given, change=change)
        for pause in _PAUSES:
            if not isinstance(told, _Throttled):
                break
            time.sleep(pause)
            told = self._sent(operation, given, change=change)
        if isinstance(told, _Throttled):
            raise Busy(self.device, str(told), retry_after=_LONG_PAUSE)
        if isinstance(told, Exception):
            raise told
        answer: Mapping[str, Any] = told
        if not answer.get("ResponseMetadata", {}).get("RequestId") or (wanted and wanted not in answer):
            raise Busy(self.device, f"what answers {operation} is not EC2, or not all of it; read again")
        return answer

    def _sent(self, operation: str, given: Mapping[str, Any], *, change: bool) -> Any:  # noqa: ANN401
        """The answer, or what went wrong as an error to raise."""
        call = getattr(self._session.client(), operation)
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra, and slow to import
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        if change:
            self._config.permit()
        self.calls += 1
        try:
            return call(**given)
        except ClientError as error:
            return self._refused(error.response)
        except (ResponseParserError, *_ODD):
            return Busy(self.device, "what answers is not EC2; it may have been done, read again")
        except BotoCoreError as error:
            kind, words = type(error).__name__, self._session.plain(str(error))
        if kind in _UNABLE:
            return Denied(self.device, f"{kind}: {words}")
        if kind in _WRONG:
            return Refusal(kind, words)
        return Busy(self.device, f"{kind}: it may have been done, read again")

    def _refused(self, told: Mapping[str, Any]) -> Exception:
        status = int(told.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code, words = (self._session.plain(str(told.get("Error", {}).get(name, ""))) for name in ("Code", "Message"))
        error = raised(self.device, status, code, words)
        if judged(status, code) is Meaning.THROTTLED:
            return _Throttled(f"throttled: {code}")
        return error

    @staticmethod
    def _again(error: DeviceError) -> str:
        raise error


class _Throttled(Exception):
    """The call was refused because there were too many, and not done."""


def _entry(told: Mapping[str, Any]) -> tuple[str, str]:
    prefix = str(told["Cidr"])
    canonical_member(prefix)
    return prefix, str(told.get("Description") or "")


def _in_group(told: Mapping[str, Any]) -> tuple[str, Rule | None]:
    return str(told["GroupId"]), None if told.get("IsEgress") else Rule.of(told)


def _id(told: Mapping[str, Any]) -> str:
    return str(told["GroupId"])


def _permission(way: Way, peer: str, description: str) -> dict[str, Any]:
    ported = (
        {}
        if (way.first, way.last) == (-1, -1) and way.protocol not in ("icmp", "icmpv6")
        else {
            "FromPort": way.first,
            "ToPort": way.last,
        }
    )
    return {
        "IpProtocol": way.protocol,
        **ported,
        "PrefixListIds": [{"PrefixListId": peer, "Description": description}],
    }


def _written(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
