"""Marks in every stream of a cluster: once they are recorded, so is all that happened before."""

from dataclasses import dataclass
from typing import Any

import psycopg

from tests.acceptance.world import Cluster

MARK = "mark"
_RECORDED = "SELECT count(*) FROM observed WHERE cluster = %s AND name = %s AND body::text LIKE %s"
_LEASED = "SELECT count(*) FROM lease_open WHERE cluster = %s AND pod = %s AND address = %s::inet"


@dataclass(frozen=True, slots=True)
class Marks:
    """One object of each kind that says `number`; none of them means anything to anybody."""

    cluster: Cluster
    number: int

    @property
    def _word(self) -> str:
        return f"marked-{self.number}-times"

    @property
    def _address(self) -> str:
        return f"203.0.{self.number // 200}.{self.number % 200 + 1}"

    @property
    def _pod_address(self) -> str:
        return f"10.244.{200 + self.number // 200}.{self.number % 200 + 1}"

    def write(self) -> None:
        """Make or change all of them."""
        cluster, placed = self.cluster, {"name": MARK, "namespace": MARK}
        labels = {"name": MARK, "says": self._word}
        cluster.store.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MARK, "labels": labels}})
        spec = {"selector": {"app": self._word}, "ports": [{"port": 80}]}
        cluster.store.put({"apiVersion": "v1", "kind": "Service", "metadata": placed, "spec": spec})
        for namespace in ("", MARK):
            cluster.external(namespace, MARK, self._address)
        pods = {"podSelector": {"matchLabels": {"app": self._word}}}
        cluster.cluster_rule(MARK, MARK, "Allow", **{"from": pods | {"namespaceSelector": {}}})
        cluster.namespace_rule(MARK, MARK, MARK, "Allow", **{"from": pods})
        rule = {"service": self._word, "action": "Allow", "to": [{"name": MARK}]}
        cluster.put("ServiceEgressRule", MARK, MARK, rule)
        cluster.pod(MARK, MARK, self._pod_address, uid="00000000-0000-4000-8000-000000000001")

    def recorded(self, connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
        """Whether all are in the record as they were written last."""
        looked_for = (
            (_RECORDED, f"%{self._word}%", 5),
            (_RECORDED, f"%{self._address}%", 2),
            (_LEASED, self._pod_address, 1),
        )
        return all(
            connection.execute(query.encode(), [self.cluster.name, MARK, words]).fetchone() == (count,)
            for query, words, count in looked_for
        )
