"""The routes of the API, a module for each noun."""

from bridge.api.routes import clusters

ROUTERS = (clusters.router,)
