"""The routes of the API, a module for each noun."""

from bridge.api.routes import (
    audit,
    changes,
    clusters,
    decisions,
    devices,
    groups,
    held,
    history,
    overview,
    plan,
    remarks,
    reports,
    rules,
    stops,
    trace,
    who,
)

ROUTERS = (
    overview.router,
    clusters.router,
    devices.router,
    groups.router,
    rules.router,
    remarks.router,
    plan.router,
    trace.router,
    who.router,
    history.router,
    held.router,
    decisions.router,
    stops.router,
    audit.router,
    reports.router,
    changes.router,
)
