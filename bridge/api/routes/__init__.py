"""The routes of the API, a module for each noun."""

from bridge.api.routes import clusters, devices, groups, overview

ROUTERS = (overview.router, clusters.router, devices.router, groups.router)
