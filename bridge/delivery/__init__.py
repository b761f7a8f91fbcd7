"""Delivery: what the state says a device should hold is brought onto it, one worker a device: read, diff, guard, apply, verify, record."""
