"""Who stands where a device cannot tell them apart: behind a node, or behind the addresses of an egress."""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from itertools import islice
from sys import intern

from bridge.model.observed import Pod

NAMED = 10  # workloads that are named; of the rest only their number is told
_OF_A_CRON_JOB = re.compile(r"-\d{6,}$")


class Crowd:
    """The workloads at one place, and how many pods of each there are."""

    def __init__(self) -> None:
        self.pods: dict[str, int] = {}
        self._ordered: list[str] = []

    def __len__(self) -> int:
        return len(self.pods)

    def change(self, workload: str, step: int) -> bool:
        """A pod more or less; returns whether the workload appeared or disappeared with it."""
        before = self.pods.get(workload, 0)
        if before + step:
            self.pods[workload] = before + step
        else:
            del self.pods[workload]
            del self._ordered[bisect_left(self._ordered, workload)]
        if not before:
            insort(self._ordered, workload)
        return not before or not before + step

    def strangers(self, inside: Mapping[str, int]) -> tuple[list[str], int]:
        """The first workloads of which not all pods are inside, and how many such workloads there are."""
        complete = sum(self.pods.get(one, 0) <= count for one, count in inside.items())
        found = (one for one in self._ordered if self.pods[one] > inside.get(one, 0))
        return list(islice(found, NAMED)), len(self.pods) - complete


def workload(pod: Pod) -> str:
    """Whom a pod belongs to, as people call it: a name that lasts while its pods come and go."""
    kind, _, name = pod.owner.partition("/")
    if kind == "ReplicaSet":
        name = name.removesuffix(f"-{pod.labels.get('pod-template-hash', '')}")
    elif kind == "Job":
        name = _OF_A_CRON_JOB.sub("", name)
    elif kind in ("", "Node"):
        name = pod.name
    return intern(f"{pod.namespace}/{name or pod.name}")


def in_words(first: Iterable[str], number: int) -> str:
    """Who else stands behind the addresses of a group; "" where nobody does."""
    named = list(first)
    if not named:
        return ""
    more = f" and {number - len(named)} more" if number > len(named) else ""
    return f"behind its addresses also stand {', '.join(named)}{more}"
