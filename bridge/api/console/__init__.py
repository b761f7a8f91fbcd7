"""The console: the API for people, as pages. A page shows what a route of the API answers, by the same functions."""

from bridge.api.console import audit, devices, groups, held, history, overview, plan, reports, rules, stops, trace, who

ROUTERS = (
    overview.router,
    devices.router,
    plan.router,
    groups.router,
    rules.router,
    trace.router,
    who.router,
    history.router,
    held.router,
    stops.router,
    reports.router,
    audit.router,
)
