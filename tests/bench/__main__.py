"""`python -m tests.bench`: every row but the long ones, or those named; a miss prints MISS and the program still ends with 0."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from tests.bench import aws, bigip, compiling, console, decoding, failover, fortigate, history, pipeline
from tests.bench.row import Row

_LONG = ("history",)  # minutes to fill the database: only when asked for


def main() -> None:
    """Measure, print, write build/bench.json."""
    options = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    pods, seconds = options.pods, options.seconds
    measures: dict[str, Callable[[], Iterator[Row]]] = {
        "decode": lambda: decoding.rows(pods),
        "sustained": lambda: pipeline.sustained(pods),
        "latency": lambda: pipeline.latency(pods, seconds),
        "policy": lambda: compiling.rows(pods, options.rules),
        "growth": lambda: pipeline.growth(pods, seconds),
        "start": lambda: pipeline.start(pods, options.services),
        "failover": lambda: failover.rows(pods, options.services),
        "aws": aws.rows,
        "bigip": bigip.rows,
        "fortigate": fortigate.rows,
        "console": lambda: console.rows(pods, options.audits),
        "history": lambda: history.rows(options.leases),
    }
    sizes = {
        "aws": "",
        "bigip": "",
        "console": f"--pods {pods} --audits {options.audits}",
        "fortigate": "",
        "history": f"--leases {options.leases}",
        "policy": f"--pods {pods} --rules {options.rules}",
    }
    chosen = options.only or [name for name in measures if name not in _LONG]
    rows = []
    print("| row | goal | figure | |\n| --- | --- | --- | --- |", flush=True)
    for name in chosen:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        for row in measures[name]():
            size = sizes.get(name, f"--pods {pods} --seconds {seconds:g} --services {options.services}")
            command = f"python -m tests.bench --only {name} {size}".rstrip()
            rows.append(
                {
                    "row": row.what,
                    "goal": row.goal,
                    "figure": row.figure,
                    "reached": row.reached,
                    "notes": row.notes,
                    "command": command,
                }
            )
            print(f"| {row.what} | {row.goal} | {row.figure} | {'' if row.reached else 'MISS'} |", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument(
        "--only",
        action="append",
        choices=[
            "decode",
            "policy",
            "sustained",
            "latency",
            "growth",
            "start",
            "failover",
            "aws",
            "bigip",
            "fortigate",
            "console",
            *_LONG,
        ],
    )
    parser.add_argument("--pods", type=int, default=150_000)
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=10_000, help="of the policy that is compiled")
    parser.add_argument("--leases", type=int, default=20_000_000, help="of the history that is asked")
    parser.add_argument("--audits", type=int, default=1_000_000, help="rows of the audit that the console shows")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each paced load")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
