"""Policy that complete lists show no longer and that nobody saw going: a little of it is let go, much of it is doubted (SEMANTICS 8)."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bridge.model.observed import KINDS, PolicyObject, Resource, Undecodable, resource_of
from bridge.model.policy import Ref
from bridge.model.reasons import Reason
from bridge.policy.guard import GuardLimits
from bridge.state.batch import Verdict

log = structlog.get_logger(__name__)

Missing = PolicyObject | Undecodable

_FEW = 3  # of a kind: as many may go with the last of it
_WORDS = "no list shows it, and nobody saw it deleted: what was accepted stays in force until a person says otherwise"


class Doubts:
    """What is missing in one cluster. What is doubted stays in force until it is listed again or somebody knows that it is gone."""

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        self._missing: dict[Ref, Missing] = {}  # since the last judgement
        self._doubted: dict[Ref, Missing] = {}
        self._passed: deque[tuple[datetime, Resource]] = deque()
        self._settled: set[Ref] = set()
        self._ended: set[str] = set()  # namespaces that were seen going, with policy in them

    def __len__(self) -> int:
        return len(self._doubted)

    def start_from(self, verdicts: Iterable[Verdict]) -> None:
        """What a person let go, and was still there when the record was loaded, goes if the first lists do not show it."""
        self._settled = {one.ref for one in verdicts if one.reason == Reason.LET_GO}

    def note(self, value: Missing) -> None:
        """Two complete lists do not show it, and nothing more is known."""
        ref = place_in_policy(value)
        if ref not in self._doubted:
            self._missing[ref] = value

    def drop(self, value: Missing) -> bool:
        """It is there, or seen going; whether it was doubted."""
        ref = place_in_policy(value)
        self._missing.pop(ref, None)
        return self._doubted.pop(ref, None) is not None

    def end_of(self, namespace: str, *, held_policy: bool) -> list[Missing]:
        """The namespace was seen going: so did what is doubted of it, which is returned, and what will be missing of it."""
        if held_policy:
            self._ended.add(namespace)
        return [self._doubted.pop(ref) for ref in list(self._doubted) if ref.namespace == namespace]

    def begin_of(self, namespace: str) -> None:
        """The namespace is there."""
        self._ended.discard(namespace)

    def let_go(self, refs: Iterable[Ref]) -> list[Missing]:
        """A person says so; those of them that are still doubted."""
        return [self._doubted.pop(ref) for ref in refs if ref in self._doubted]

    def judge(self, at: datetime, counted: Callable[[], Counter[Resource]]) -> list[Missing]:
        """Of what is missing since the last time, what goes; the rest is doubted. `counted` tells what there is, this included."""
        rest, self._missing = self._missing, {}
        settled, self._settled = self._settled, set()
        certain = [rest.pop(ref) for ref in list(rest) if ref in settled or ref.namespace in self._ended]
        while self._passed and self._passed[0][0] < at - timedelta(seconds=self._limits.window):
            self._passed.popleft()
        if rest and self._is_much(rest, counted() - Counter(map(resource_of, certain))):
            self._doubted |= rest
            log.warning(
                "policy is missing from lists, and stays in force", missing=len(rest), doubted=len(self._doubted)
            )
            return certain
        self._passed.extend((at, resource_of(one)) for one in rest.values())
        return [*certain, *rest.values()]

    def _is_much(self, rest: Mapping[Ref, Missing], known: Counter[Resource]) -> bool:
        """What went lately counts with it, and what is doubted already."""
        passed = Counter(resource for _, resource in self._passed)
        doubted = Counter(map(resource_of, self._doubted.values()))
        kinds = Counter(map(resource_of, rest.values()))
        gone, before = kinds + doubted + passed, known + passed
        return self._limits.policy_per_cluster.exceeded(gone.total(), before.total()) or any(
            before[kind] > _FEW and gone[kind] >= before[kind] for kind in kinds
        )

    def told(self, verdicts: Mapping[Ref, Verdict]) -> dict[Ref, Verdict]:
        """What to say of those that are doubted, instead of these."""
        reason = str(Reason.DOUBTED)
        return {
            ref: replace(verdicts[ref], ok=False, reason=reason, message=_WORDS)
            for ref in self._doubted
            if ref in verdicts
        }


def place_in_policy(value: Missing) -> Ref:
    """What it is called."""
    return Ref(KINDS[resource_of(value)], value.namespace, value.name)
