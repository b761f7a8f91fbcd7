"""Intake: what a cluster shows becomes leases, memberships and desired objects in the state, one transaction a batch."""
