"""Simulated clusters and devices over real HTTP, and the demo that runs on them."""
