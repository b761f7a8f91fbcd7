"""How long it takes to say who held an address, and what became of anything, with a year of history in the database."""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from bridge.report.answering import answered
from bridge.report.subject import subjects
from bridge.report.told import Past
from bridge.state.database import Database
from bridge.state.embedded import EmbeddedPostgres
from bridge.state.history_store import Asked, HistoryStore
from tests.bench.past import DEVICE, END, START, load
from tests.bench.row import Row, quantile

_TIMES = 40  # each question, about another thing each time


def rows(leases: int) -> Iterator[Row]:
    """Fill a database, then ask: the slowest answer of all counts."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,  # 10 GB: not to be left behind
        EmbeddedPostgres(Path(folder), durable=False) as server,
    ):
        database = Database(server.url)
        database.upgrade()
        began = time.monotonic()
        count = load(database, leases)
        notes: dict[str, object] = {"leases": count, "loaded_in_s": round(time.monotonic() - began)}
        slowest = 0.0
        for name, question in _questions(HistoryStore(database)).items():
            times = [_timed(question) for _ in range(_TIMES)]
            notes[f"{name}_ms"] = {"p50": round(quantile(times, 0.5) * 1e3, 1), "max": round(max(times) * 1e3, 1)}
            slowest = max(slowest, *times)
        database.close()
    what = f"any answer of `who` and `history` with {count:,} lease rows: the slowest of {len(notes) - 2} questions × {_TIMES}"
    yield Row(what, "≤ 100 ms", f"{slowest * 1e3:.0f} ms", slowest <= 0.1, notes)


def _questions(store: HistoryStore) -> dict[str, Callable[[], object]]:
    random = Random(1)
    watched = store.clusters()
    past = Past(store, [one.cluster for one in watched], None)

    def address() -> str:
        number = random.randrange(32_768)
        return f"10.64.{number // 256}.{number % 256}"

    def moment() -> datetime:
        return START + random.random() * (END - START)

    def who(at: datetime) -> object:
        where = address()
        return [answered(store, one, where, at) for one in watched]

    def history(words: str, since: timedelta | None = None) -> object:
        asked = Asked(20, since=END - since if since else None)
        return [past.told(one, asked) for one in past.recorded(subjects(words))]

    return {
        "who": lambda: who(END),
        "who_at": lambda: who(moment()),
        "ip": lambda: history(address()),
        "ip_of_a_month": lambda: history(address(), timedelta(days=30)),
        "pod_name_borne_often": lambda: history(f"pod/ns-{random.randrange(500)}/db-{random.randrange(5)}"),
        "group": lambda: history(f"east/service/ns-{random.randrange(500)}/svc-{random.randrange(4)}"),
        "group_by_console_name": lambda: history(f"fb_west_service_ns-{random.randrange(500)}_svc-1"),
        "large_group": lambda: history("west/builtin//governed"),
        "rule": lambda: history(f"rule/ns-7/rule-{random.randrange(20)}"),
        "rule_that_never_was": lambda: history("ServiceEgressRule/ns-7/nothing"),
        "device": lambda: history(f"device/{DEVICE}"),
        "words_of_many_meanings": lambda: history("ns-7/rule-3"),
    }


def _timed(question: Callable[[], object]) -> float:
    began = time.monotonic()
    question()
    return time.monotonic() - began
