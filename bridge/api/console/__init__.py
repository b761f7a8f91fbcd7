"""The console: the API for people, as pages. A page shows what a route of the API answers, by the same functions."""

from bridge.api.console import devices, groups, overview, rules

ROUTERS = (overview.router, devices.router, groups.router, rules.router)
