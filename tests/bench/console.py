"""How long the API and the console take to answer on a large site: every route that is read, and every page."""

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import httpx

from bridge.api.console import ROUTERS as PAGES
from bridge.api.routes import ROUTERS
from bridge.model.identity import ObjectKey
from bridge.model.plan import Held
from bridge.state.encoding import encode_held
from tests.acceptance.site import Bridge, ClusterEntry, bigip
from tests.acceptance.town import served
from tests.bench import cluster_process
from tests.bench.cluster_process import POD_RANGE, Load
from tests.bench.row import Row, quantile
from tests.bench.stand import spawned

_GROUPS, _RULES = 500, 2  # rules of each group
_TIMES = 5  # each page
_GOAL = 0.3
_CLUSTER, _DEVICE, _DIGEST = "lab", "edge", "0123456789abcdef"
_PREFIX = "/api/v1"
# What takes as long as there is to be done, and says so: a device is read, every audit row is computed again, a stream has no end.
_LONG = frozenset({"/devices/{name}/plan", "/audit/{device}/verification", f"{_PREFIX}/changes"})
_WHOLE = re.compile(rf"{_PREFIX}/reports/(difference|\d)")  # pages come at once, and say what is still being worked out
_HOLD = """
INSERT INTO held_plan (device, digest, steps, since, state, cluster, kind, by, reason)
VALUES (%s, %s, %s, now(), 'held', %s, 'guard', '', '')
"""
# The years before: rows of the audit that end where those of the program begin.
_LATER = ("UPDATE audit SET number = -number - %(many)s", "UPDATE audit SET number = -number")
_COUNTED = "UPDATE device SET audit_number = audit_number + %(many)s"
_AUDIT = """
INSERT INTO audit (device, at, key, op, cause, before, after, plan_digest, outcome, number, lag)
SELECT %(device)s, t.at - (%(many)s - n) * interval '1 second', 'group:lab/service/team-' || lpad(mod(n, 500)::text, 2, '0') || '/app',
    'update', 'Pod team-00/x at ' || n, 'd -[]', 'd +[10.128.0.1]', 'digest', 'done', n, 0.02 + mod(n, 97) * 0.001
FROM generate_series(1, %(many)s) n, (SELECT min(at) AS at FROM audit) t
"""


def rows(pods: int, audits: int) -> Iterator[Row]:
    """Program a device with the real program, then ask its API and its console; the slowest answer of all counts."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        _, document = stack.enter_context(spawned(cluster_process.serve, Load(pods, groups=_GROUPS, rules=_RULES)))
        device = stack.enter_context(bigip(tls=False))
        entry = ClusterEntry(_CLUSTER, Path(document["kubeconfig"]), (POD_RANGE,), ("10.96.0.0/12",))
        bridge = stack.enter_context(Bridge(Path(folder), {_DEVICE: device}, [entry]))
        bridge.write_settings({"api": {"listen": "127.0.0.1:0"}})
        bridge.start()
        with bridge.state() as connection:
            bridge.await_in_step(600)
            bridge.stop()
            past = {"device": _DEVICE, "many": audits}
            for statement in (*_LATER, _COUNTED, _AUDIT):
                connection.execute(statement, past)
            bridge.cli("report", "--keep")
            bridge.cli("report", "--keep")
            members = frozenset(f"10.{128 + n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(pods // 3))
            key = ObjectKey.parse("group:lab/service/team-00/app")
            held = Held(key, members, f"removal of {len(members)} members, which no event proves")
            connection.execute(_HOLD, [_DEVICE, _DIGEST, encode_held([held]), _CLUSTER])
            connection.execute("ANALYZE")
            with served(bridge) as where, httpx.Client(base_url=where, trust_env=False, timeout=60) as client:
                times = {path: _timed(client, path) for path in _paths(client)}
    notes = {
        "pods": pods,
        "groups": _GROUPS,
        "rules": _GROUPS * _RULES,
        "audit_rows": audits,
        "held_members": len(members),
        "not_measured": sorted(_LONG),
        "ms": {path: [round(quantile(some, 0.5) * 1e3), round(max(some) * 1e3)] for path, some in times.items()},
    }
    size = f"{pods:,} pods, {_GROUPS} groups, {_GROUPS * _RULES:,} rules"
    whole = {path: some for path, some in times.items() if _WHOLE.search(path)}
    others = {path: some for path, some in times.items() if path not in whole}
    yield _slowest(f"any page of the console and any answer of the API, {size}", others, notes)
    yield _slowest("the same of what is made from whole kept reports: one, or what two differ in", whole, notes)


def _slowest(what: str, times: dict[str, list[float]], notes: dict[str, object]) -> Row:
    path, worst = max(((path, max(some)) for path, some in times.items()), key=lambda one: one[1])
    what = f"{what}: the slowest of {len(times)}, × {_TIMES}"
    return Row(what, "≤ 300 ms", f"{worst * 1e3:.0f} ms", worst <= _GOAL, notes | {"slowest": path})


def _timed(client: httpx.Client, path: str) -> list[float]:
    first = client.get(path)  # once for whatever is made once
    assert first.is_success, (path, first.text[:500])
    found = []
    for _ in range(_TIMES):
        began = time.monotonic()
        client.get(path).raise_for_status()
        found.append(time.monotonic() - began)
    return found


def _paths(client: httpx.Client) -> list[str]:
    """Every route that is read and every page, about something that is there. KeyError for a new one that is not told about here."""

    def rows_of(path: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = client.get(f"{_PREFIX}/{path}").raise_for_status().json()["rows"]
        return found

    group = next(one for one in rows_of("groups?limit=200") if "team" in one["id"])
    member = rows_of(f"groups/{quote(group['id'], safe='')}/members")[0]
    reports = rows_of("reports")
    named = {
        "name": _DEVICE,
        "device": _DEVICE,
        "digest": _DIGEST,
        "group_id": quote(group["id"], safe=""),
        "number": str(reports[0]["number"]),
        "verdict": "release",
    }
    of_cluster = {f"{_PREFIX}/clusters/{{name}}": {"name": _CLUSTER}}
    of_audit = {"/audit/{device}/{number}": str(rows_of(f"audit?device={_DEVICE}")[0]["number"])}
    address, subject = quote(member["address"]), quote(f"pod/{member['namespace']}/{member['pod']}")
    asked = {
        "/trace": f"?from={address}&to=192.0.2.1:443",
        "/who": f"?address={address}",
        "/history": f"?subject={subject}",
        "/reports/difference": f"?before={reports[1]['number']}&after={reports[0]['number']}",
    }
    found = []
    for prefix, routers in ((_PREFIX, ROUTERS), ("", PAGES)):
        for route in (route for router in routers for route in router.routes):
            path = str(getattr(route, "path", ""))
            if "GET" not in getattr(route, "methods", ()) or {path, prefix + path} & _LONG or "stops/{" in path:
                continue
            values = (
                named | of_cluster.get(prefix + path, {}) | ({"number": of_audit[path]} if path in of_audit else {})
            )
            found.append(prefix + path.format_map(values) + asked.get(path, ""))
    lists = (
        "/groups?q=team-4",
        "/rules?q=out-1",
        "/rules?namespace=team-100",
        f"/rules?device={_DEVICE}",
        f"/audit?device={_DEVICE}&op=update",
    )
    return [*found, *(prefix + one for prefix in (_PREFIX, "") for one in lists), f"/devices/{_DEVICE}?hours=168"]
