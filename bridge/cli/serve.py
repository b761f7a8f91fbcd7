"""`fusion-bridge serve`: the HTTP API and the console, until SIGTERM."""

import typer

from bridge.cli.invocation import invocation
from bridge.errors import BridgeError


def serve(context: typer.Context) -> None:
    """Answer over HTTP what the other commands show, and serve the console, until SIGTERM or Ctrl-C; the controller is another process."""
    import structlog

    from bridge.cli.run import stopped_by_signal
    from bridge.cli.state import opened

    asked = invocation(context)
    settings = asked.settings
    log = structlog.get_logger("bridge.cli.serve")
    try:
        from bridge.api.application import application
        from bridge.cli.admitting import admitted, certificates, hosts
        from bridge.cli.serving import served, site
    except ModuleNotFoundError as error:
        raise BridgeError(f"the API is not installed ({error.name}): pip install 'fusion-bridge[api]'") from error
    with (
        stopped_by_signal() as stop,
        opened(settings, asked.folder(settings)) as database,
        admitted(settings) as access,
        served(
            application(site(settings, database), access, hosts(settings.api)),
            settings.api.listen,
            certificates(settings.api),
        ) as listening,
    ):
        log.info("serving", api=listening, authentication=settings.api.authentication.value)
        stop.wait()
        log.info("stopping")
