"""A simulated BIG-IP for each test, over plain HTTP where TLS is not what is tested."""

from collections.abc import Iterator

import pytest

from adapters.bigip import BigipAdapter
from bridge.lab.devices.bigip import Bigip
from tests.adapters.bigip.site import OPENED, open_adapter


@pytest.fixture
def device() -> Iterator[Bigip]:
    with Bigip(tls=False, username="bridge", password="s3cret-pass") as bigip:
        yield bigip
        while OPENED:
            OPENED.pop().close()


@pytest.fixture
def adapter(device: Bigip) -> BigipAdapter:
    return open_adapter(device)
