"""Proofs that take time: `python -m tests.soak` runs them, tests/acceptance runs their short forms."""
