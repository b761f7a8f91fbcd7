"""Whatever happens in whatever order, cut into batches anywhere and restarted at any point: the record is what is."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridge.cluster.picture import Picture
from bridge.intake.intake import required
from bridge.model.identity import Scope
from bridge.model.observed import (
    Change,
    EndpointSlice,
    Event,
    Namespace,
    Observed,
    Pod,
    PolicyObject,
    Resource,
    Service,
)
from tests.intake.fold import Bench, event, substance
from tests.intake.objects import endpoints, external, namespace, pod, policy, service, service_rule

REQUIRED = required(())
NAMESPACES = ("shop", "bank", "free")
APPS = ("pay", "cart")
Key = tuple[str, str, str]


@dataclass
class Cluster:
    """A cluster as it is. What it does to itself leaves no room for history: who holds what follows from what is there."""

    random: Random
    objects: dict[Key, Observed] = field(default_factory=dict)
    serial: int = 0

    def step(self) -> list[Event]:
        """One thing happens; sometimes it is told twice."""
        events = self.random.choice((self._pod, self._pod, self._pod, self._around, self._policy, self._delete))()
        return events * self.random.choice((1, 1, 2))

    def everything(self) -> list[Observed]:
        """All objects, in any order."""
        found = list(self.objects.values())
        self.random.shuffle(found)
        return found

    def delete(self, key: Key) -> list[Event]:
        return [event(Change.DELETED, self.objects.pop(key))]

    def _put(self, value: Observed) -> list[Event]:
        self.serial += 1
        key = (type(value).__name__ + str(getattr(value, "resource", "")), getattr(value, "namespace", ""), value.name)
        known = self.objects.get(key)
        value = replace(value, resource_version=str(self.serial), uid=known.uid if known else f"uid-{self.serial}")
        self.objects[key] = value
        return [event(Change.UPSERT, value)]

    def _pod(self) -> list[Event]:
        pods = [value for value in self.objects.values() if isinstance(value, Pod)]
        if pods and self.random.random() < 0.4:
            one = self.random.choice(pods)
            changes = {
                "labels": {"app": self.random.choice(APPS)},
                "phase": self.random.choice(("Running", "Succeeded")),
                "deleting": True,
            }
            what = self.random.choice(tuple(changes))
            return self._put(replace(one, **{what: changes[what]}))  # type: ignore[arg-type]
        place = self.random.choice(NAMESPACES)
        if not any(isinstance(value, Namespace) and value.name == place for value in self.objects.values()):
            return self._put(namespace(place))
        last = self.random.randrange(8)
        addresses = [f"10.0.0.{last}", f"fd00::{last}"] if last < 6 else [f"192.0.2.{last}"]
        return self._put(
            pod(
                f"{self.random.choice(APPS)}-{self.serial}",
                *addresses[: self.random.randint(0, 2)],
                namespace=place,
                started=self.random.randrange(3),
                host_network=self.random.random() < 0.1,
            )
        )

    def _around(self) -> list[Event]:
        place = self.random.choice(NAMESPACES)
        made: list[Observed] = [
            namespace(place, governed=self.random.random() < 0.8, annotation=self.random.choice(("", "all"))),
            service("pay", place=place, app=self.random.choice(APPS)),
            service("cart", place=place, annotation=self.random.choice(("", "all", "some"))),
            endpoints("s1", self.random.choice(("pay", "cart")), f"10.0.0.{self.random.randrange(8)}", place=place),
            endpoints("s2", "cart", "10.0.0.1", "192.0.2.6", place=place),
        ]
        return self._put(self.random.choice(made))

    def _policy(self) -> list[Event]:
        place, name = self.random.choice(NAMESPACES), self.random.choice(("one", "two"))
        present = [value for value in self.objects.values() if isinstance(value, PolicyObject)]
        banks = [one for one in present if one.resource is Resource.EXTERNAL_SERVICES and one.namespace == place]
        if not banks or self.random.random() < 0.3:
            return self._put(external("bank", f"192.0.2.{self.random.randrange(9)}", place=place))
        if self.random.random() < 0.2:
            return self._put(
                policy("AddressGroup", name, podSelector={"matchLabels": {"app": self.random.choice(APPS)}})
            )
        if self.random.random() < 0.2:
            return self._bad(name, place)
        action = self.random.choice(("Allow", "Deny", "Reject"))
        return self._put(service_rule(name, of=self.random.choice(APPS), action=action, place=place))

    def _bad(self, name: str, place: str) -> list[Event]:
        """Bad from its beginning, so that no earlier version counts."""
        bad = (
            service_rule(f"bad-{name}", to="nowhere", place=place),
            external(f"bad-{name}", "300.1.2.3", place=place),
        )
        return self._put(self.random.choice(bad))

    def _delete(self) -> list[Event]:
        free = [key for key, value in self.objects.items() if not self._named(value)]
        return self.delete(self.random.choice(free)) if free else []

    def _named(self, value: Observed) -> bool:
        """Whether rules name it, or pods are in it: it would stay while they do."""
        if isinstance(value, Namespace):
            return any(isinstance(one, Pod) and one.namespace == value.name for one in self.objects.values())
        return (
            isinstance(value, PolicyObject)
            and value.name == "bank"
            and any(
                isinstance(one, PolicyObject)
                and one.resource is Resource.SERVICE_RULES
                and one.namespace == value.namespace
                for one in self.objects.values()
            )
        )


def _resource(value: Observed) -> Resource:
    return event(Change.UPSERT, value).resource


def listed(bench: Bench, cluster: Cluster, resources: Iterable[Resource] = REQUIRED) -> Iterable[Event]:
    """What the watchers tell a new process: what differs from the record, and what it knows that is there no more."""
    recorded = bench.record.recorded()
    known: list[Observed] = [*recorded.pods.values(), *recorded.objects.values()]
    for resource in sorted(resources, key=lambda _: cluster.random.random()):
        picture = Picture(resource, [value for value in known if _resource(value) is resource], None)
        values = [value for value in cluster.everything() if _resource(value) is resource]
        events = picture.differing(values)
        picture.delivered(events)
        yield from events
        missing = picture.missing({value.uid for value in values})
        ends = picture.ended(missing, {value.uid for value in values})
        ended = {one.value.uid for one in ends}
        yield from ends
        yield from (picture.vanished(value) for value in missing if value.uid not in ended)


def from_nothing(cluster: Cluster, bench: Bench | None = None) -> Bench:
    """What becomes of the cluster as it is, for those who saw nothing of how it came to be."""
    bench = bench or Bench()
    bench.take(event(Change.UPSERT, value) for value in cluster.everything())
    bench.commit()
    return bench


def same(one: Bench, other: Bench) -> None:
    """Whether two records say the same."""
    mine, theirs = one.record, other.record
    assert mine.members == theirs.members
    assert mine.desired == theirs.desired
    assert mine.bodies == theirs.bodies
    assert mine.leases == theirs.leases
    assert mine.placements == theirs.placements
    assert {ref: (v.ok, v.reason, v.message) for ref, v in mine.verdicts.items()} == {
        ref: (v.ok, v.reason, v.message) for ref, v in theirs.verdicts.items()
    }
    assert {place: (v.uid, v.name) for place, v in mine.objects.items()} == {
        place: (v.uid, v.name) for place, v in theirs.objects.items()
    }
    assert {uid for uid, pod in mine.pods.items() if pod.addresses} >= set(theirs.leases.values())


SEEDS = st.integers(0, 2**32 - 1)
WHEN = st.floats(0, 1)


@given(SEEDS, st.integers(1, 120), WHEN)
def test_any_batches_lead_where_one_does(seed: int, steps: int, often: float) -> None:
    cluster, bench = Cluster(Random(seed)), Bench()
    for _ in range(steps):
        bench.take(cluster.step())
        if cluster.random.random() < often:
            bench.commit()
    bench.commit()
    same(bench, from_nothing(cluster))


@given(SEEDS, st.integers(1, 60), st.integers(0, 30))
def test_a_restart_anywhere_closes_what_vanished_and_makes_nothing_up(seed: int, steps: int, missed: int) -> None:
    cluster, bench = Cluster(Random(seed)), Bench()
    for _ in range(steps):
        bench.take(cluster.step())
        bench.commit()
    for _ in range(missed):
        cluster.step()
    bench.restart()
    bench.take(listed(bench, cluster))
    bench.commit()
    same(bench, from_nothing(cluster))
    bench.restart()
    bench.take(listed(bench, cluster))
    assert not substance(bench.commit()), "nothing happened since"


@given(SEEDS, st.integers(1, 80))
def test_when_all_is_deleted_nothing_is_left_over(seed: int, steps: int) -> None:
    cluster, bench = Cluster(Random(seed)), Bench()
    for _ in range(steps):
        bench.take(cluster.step())
    bench.commit()
    keys = list(cluster.objects)
    cluster.random.shuffle(keys)
    for key in keys:
        bench.take(cluster.delete(key))
        if cluster.random.random() < 0.5:
            bench.commit()
    bench.commit()
    record = bench.record
    assert not any((record.pods, record.objects, record.leases, record.verdicts))
    assert all(key.scope is Scope.BUILTIN and not members for key, members in record.members.items())
    assert all(key.scope in (Scope.BUILTIN, Scope.DEFAULT) for _, key in record.desired)


@given(SEEDS, st.integers(1, 40))
def test_a_vanished_pod_ends_as_inferred_and_a_deleted_one_as_observed(seed: int, steps: int) -> None:
    cluster, bench = Cluster(Random(seed)), Bench()
    for _ in range(steps):
        bench.take(cluster.step())
    bench.commit()
    holders = dict(bench.record.leases)
    gone = {uid for uid in set(holders.values()) if cluster.random.random() < 0.5}
    change = cluster.random.choice((Change.GONE, Change.DELETED))
    pods = [value for value in cluster.objects.values() if isinstance(value, Pod) and value.uid in gone]
    batch = bench.see(*pods, change=change)
    for end in batch.leases_ended:
        assert end.inferred == (change is Change.GONE)
    for one in batch.left:
        assert one.inferred == (change is Change.GONE and one.address not in bench.record.leases)


def test_kinds_of_the_simulation_are_those_that_are_watched() -> None:
    assert {
        _resource(one) for one in (namespace(), service(), endpoints("a", "b"), pod("x"), external(), service_rule())
    } <= REQUIRED
    assert isinstance(namespace(), Namespace)
    assert isinstance(service(), Service)
    assert isinstance(endpoints("a", "b"), EndpointSlice)
