"""Reconciliation reports: one model, several renderings."""
