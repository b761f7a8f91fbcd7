"""The webhook that gates new pods."""

from pydantic import Field

from bridge.settings.fields import FilePath, Listen, Section


class WebhookSettings(Section):
    """Where the API server asks about new pods, and with which certificate it is answered."""

    listen: Listen = Field("127.0.0.1:9443", description="address:port; loopback unless told.")
    cert_file: FilePath = Field(
        description="The certificate with its chain, PEM; a new one is used from the next connection on."
    )
    key_file: FilePath = Field(description="Its private key, PEM.")
