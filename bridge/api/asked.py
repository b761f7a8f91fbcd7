"""What a route is handed of the installation."""

from typing import Annotated

from fastapi import Depends, Request

from bridge.api.site import Site


def _site(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


Asked = Annotated[Site, Depends(_site)]
