"""The HTTP API and the console."""

from pydantic import Field

from bridge.settings.fields import Listen, Section


class ApiSettings(Section):
    """Where the API and the console answer, and to whom."""

    listen: Listen = Field("127.0.0.1:9810", description="address:port; loopback unless told.")
