"""What is kept of a leak, for whoever looks for its cause: a run is hardly ever repeated as it was."""

import os
import pprint
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import LiteralString

import psycopg

from tests.soak.estate import Post
from tests.soak.judgement import Leak
from tests.soak.meaning import While

_PLACE = Path("build/soak-evidence")
_AUDIT: LiteralString = "SELECT * FROM audit WHERE device = %s ORDER BY 1 DESC LIMIT 300"


def keep(post: Post, leak: Leak, during: While, conninfo: str) -> Path:
    """Write down the device at that moment, what it was written, what could be seen meanwhile, and the audit; where that is."""
    source = leak.packet.source if leak.packet else ""
    parts = {
        "leak": leak.words,
        "senders": during.senders.get(source),
        "versions": {str(one): versions for one, versions in during.versions.items()},
        "moment": {name: value for name, value in vars(leak.moment).items() if not name.startswith("_device")},
        "state": getattr(leak.moment, "state", None),
        "moments": [vars(one) for one in post.track.moments[-50:]],
        "audit": _rows(conninfo, _AUDIT, post.name),
    }
    return _written(post.name, parts)


def keep_unsettled(amiss: Sequence[str], said: Sequence[object], conninfo: str) -> Path:
    """The same of what never came right: what is not, what the program said last, and how the devices stand."""
    parts = {
        "amiss": list(amiss),
        "said": list(said[-300:]),
        "devices": _rows(conninfo, "SELECT * FROM device"),
        "objects": _rows(conninfo, "SELECT * FROM device_object WHERE state <> 'Programmed' ORDER BY device, key"),
        "leases": _rows(conninfo, "SELECT *, clock_timestamp() FROM replica_lease"),
        "busy": _rows(conninfo, "SELECT state, wait_event, query_start, query FROM pg_stat_activity"),
    }
    return _written("unsettled", parts)


def _written(name: str, parts: Mapping[str, object]) -> Path:
    _PLACE.mkdir(parents=True, exist_ok=True)
    number, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".txt", dir=_PLACE)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        for title, value in parts.items():
            file.write(f"==== {title}\n{value if isinstance(value, str) else pprint.pformat(value, width=180)}\n")
    return Path(path)


def _rows(conninfo: str, query: LiteralString, *values: str) -> list[str]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return [repr(row) for row in connection.execute(query, values)]
