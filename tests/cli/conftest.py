"""The site, new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.lab.devices.bigip import Bigip
from bridge.state.database import Database
from tests.cli.site import PASSWORD, Site
from tests.state.builders import Stores


@pytest.fixture
def bigip() -> Iterator[Bigip]:
    with Bigip(tls=False, username="bridge", password=PASSWORD) as device:
        yield device


@pytest.fixture
def site(tmp_path: Path, database: Database, database_url: str, bigip: Bigip) -> Site:
    found = Site(tmp_path, Stores(database), bigip)
    found.write_settings(database_url)
    return found
