"""The series that the bridge shows to Prometheus: one table, and the one registry that holds them."""
