"""The figures that the design promises, measured: `python -m tests.bench` prints a table and writes build/bench.json."""
