"""One start, in a process of its own so that its memory is its own: prints seconds, megabytes and the seconds of sending as JSON."""

import json
import sys
import time
from pathlib import Path

import psutil
import structlog

from tests.bench.cluster_process import Load
from tests.bench.stand import stand


def main() -> None:
    """`python -m tests.bench.start_once FOLDER PODS SERVICES`."""
    folder, pods, services = sys.argv[1:]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    with stand(Path(folder), Load(int(pods), idle_services=int(services)), device=False) as bench:
        began = time.monotonic()
        bench.start()
        bench.wait_settled()
        passed = time.monotonic() - began
        resident = psutil.Process().memory_info().rss / 1e6
        found = {"seconds": passed, "resident": resident, "sending": bench.ask("sending", bench.document)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
