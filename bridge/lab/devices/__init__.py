"""Simulated devices, one package or module for each kind, and what they share: clock, faults, HTTP endpoint."""
