"""Adapters: one folder a kind of device."""
