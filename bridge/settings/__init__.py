"""What a person types: one YAML file, environment variables over it, checked whole before anything is touched.

Settings are values: `load` returns a `Settings`, and the cli hands its parts down. Nothing here opens a connection.
"""

from bridge.settings.clusters import ClusterSettings
from bridge.settings.credentials import Credentials, SecretReader
from bridge.settings.devices import DeviceSettings
from bridge.settings.loading import Adapters, load, load_base, locate, schema
from bridge.settings.root import BaseSettings, Settings

__all__ = [
    "Adapters",
    "BaseSettings",
    "ClusterSettings",
    "Credentials",
    "DeviceSettings",
    "SecretReader",
    "Settings",
    "load",
    "load_base",
    "locate",
    "schema",
]
