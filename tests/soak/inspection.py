"""What is looked at after every while: record and devices against the cluster, the way that they took, and in the end their history."""

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import psycopg

from tests.soak import evidence, record
from tests.soak.estate import Post, sampled
from tests.soak.hands import ADDED
from tests.soak.judgement import differences, leaks
from tests.soak.proof import Findings
from tests.soak.town import Town
from tests.soak.ways import opened

_MOMENTS, _WAYS = 12, 4  # of each device, after each while
_PATIENCE = 120.0  # seconds of quiet after which what is not in step counts as lost


@dataclass
class Inspection:
    """Looks at one cluster and its devices; remembers each state of rest, for when history is judged."""

    town: Town
    posts: Sequence[Post]
    conninfo: str
    random: Random
    alive: Callable[[], bool] = lambda: True
    said: Callable[[], Sequence[object]] = tuple  # the program's log
    checkpoints: list[record.Checkpoint] = field(default_factory=list)
    moments: int = 0
    ways: int = 0
    decided: set[tuple[str, str, str]] = field(default_factory=set)
    excepted: set[str] = field(default_factory=set)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    counted_in: int = 0  # packets of those who were held by the guard

    def first(self, findings: Findings) -> None:
        """Everything comes right from the beginning; what got through until then had nothing in its way."""
        amiss = self.settle(self.town.sources(100))
        findings.wrong += [f"from the beginning: {one}" for one in amiss[:10]]
        for post in self.posts:
            post.track.take()
        self._begin()

    def judge(self, findings: Findings, sources: set[str], when: str) -> None:
        """Everything comes right, nothing got through on the way, and so it is remembered; then another while begins."""
        amiss = self.settle(sources)
        if amiss:
            kept = evidence.keep_unsettled(amiss, self.said(), self.conninfo)
            findings.wrong += [f"{when}: {one} (see {kept})" for one in amiss[:10]]
        findings.wrong += [f"{when}: {one}" for one in self._leaks(sources)[:10]]
        if not amiss:
            with psycopg.connect(self.conninfo, autocommit=True) as connection:
                self.checkpoints.append(record.checkpoint(connection, self.town.reading(), self.town.owners()))
        self._begin()

    def settle(self, sources: set[str], *, held: AbstractSet[str] = frozenset()) -> list[str]:
        """Wait until all is as it should be; what is not when nothing comes of waiting.

        Who is `held` by the guard is excepted; what else it holds, a person releases at once.
        """
        until, last = time.monotonic() + _PATIENCE, ["nothing was looked at"]
        while last and self.alive() and time.monotonic() < until:
            try:
                last = self._amiss(sources - held, guarded=bool(held))
            except (psycopg.Error, LookupError) as error:  # no tables yet, no device touched yet
                last = [f"{type(error).__name__}: {error}"]
            if last:
                time.sleep(0.1)
        return last

    def conclude(self, findings: Findings) -> None:
        """What belongs to others, history, and the chains of the audit."""
        findings.wrong += [f"touched, and not ours: {one}" for post in self.posts for one in post.touched()]
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            findings.wrong += record.broken(connection, self.checkpoints)[:20]
        findings.wrong += record.broken_chains(self.conninfo)
        findings.figures |= {"moments": self.moments, "ways": self.ways, "states remembered": len(self.checkpoints)}
        findings.figures["lists released"] = len(self.decided)
        findings.figures["packets of held members"] = self.counted_in
        if self.excepted:
            findings.figures["narrower, by name"] = "; ".join(sorted(self.excepted)[:10])

    def _begin(self) -> None:
        self.began = datetime.now(UTC)
        self.town.begin()

    def _amiss(self, sources: set[str], *, guarded: bool) -> list[str]:
        reading, owners = self.town.reading(), self.town.owners()
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            found = record.differing(connection, reading, owners) or record.waiting(connection, guarded=guarded)
            narrowed = record.narrowed(connection)
            for one in () if guarded else record.held(connection):
                self._release(*one)
        packets = list(self.town.packets({*sources, ADDED}))
        for post in [] if found else self.posts:
            less = narrowed.get(post.name, [])
            wrong = differences(post.form, post.now(), packets, reading, owners, narrower=bool(less))
            found += [f"{post.name}: {one}" for one in wrong]
            self.excepted.update(f"{post.name}: {one}" for one in less)
        return found

    def _release(self, device: str, digest: str, since: str) -> None:
        if (device, digest, since) in self.decided:
            return
        self.decided.add((device, digest, since))
        spec = {
            "device": device,
            "digest": digest,
            "verdict": "Release",
            "by": "sam",
            "reason": "it is as it should be",
        }
        self.town.cluster.put("Decision", "", f"decision-{len(self.decided)}", spec)

    def _leaks(self, sources: set[str]) -> list[str]:
        found, packets = [], list(self.town.packets(sources))
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            kept_in = record.kept_in(connection, self.began)
        for post in self.posts:
            moments, ways = post.track.take()
            moments, ways = sampled(moments, _MOMENTS, self.random), sampled(ways, _WAYS, self.random)
            self.moments += len(moments)
            self.ways += len(ways)
            found += [f"{post.name}: {one}" for one in opened(post.form, ways, packets, self.random)]
            for leak in leaks(post.form, moments, packets, self.town.during, self.random):
                if leak.packet is not None and leak.packet.source in kept_in.get(post.name, ()):
                    self.counted_in += 1
                    continue
                kept = evidence.keep(post, leak, self.town.during, self.conninfo)
                found.append(f"{post.name}: {leak.words} (see {kept})")
        return found
