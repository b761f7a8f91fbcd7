"""`python -m tests.soak`: every proof, or those named, one line each; 1 where one does not hold. `--long` gives the project's figures."""

import argparse
import dataclasses
import json
import logging
import random
import sys
import tempfile
from pathlib import Path

import structlog

from tests.soak.proof import Order, Result, carry_out
from tests.soak.proofs import BY_NAME


def main() -> int:
    """Run, print, write the same as JSON."""
    options = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    print(f"seed {options.seed}, {'long' if options.long else 'short'} form", flush=True)
    results = []
    for name in options.only or list(BY_NAME):
        print(f"running {name}: {BY_NAME[name].what}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
            result = carry_out(BY_NAME[name], Order(options.seed, options.long, Path(folder)))
        results.append(result)
        _print(result)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    written = [dataclasses.asdict(one) | {"passed": one.passed} for one in results]
    options.out.write_text(json.dumps(written, indent=2, ensure_ascii=False), encoding="utf-8")
    return 0 if all(one.passed for one in results) else 1


def _print(result: Result) -> None:
    print(result.line(), flush=True)
    for one in result.wrong[:20]:
        print(f"      {one.rstrip()}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--long", action="store_true", help="the long form of each")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--only", action="append", choices=list(BY_NAME), help="this proof; may be given again")
    parser.add_argument("--out", type=Path, default=Path("build/soak.json"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
