"""The console: the API for people, as pages. A page shows what a route of the API answers, by the same functions."""

from bridge.api.console import overview

ROUTERS = (overview.router,)
