"""A simulated BIG-IP in a process of its own."""

from ipaddress import ip_address, ip_network
from multiprocessing.connection import Connection

from bridge.lab.devices.bigip import Bigip
from tests.bench.cluster_process import POD_RANGE

_LISTS = "security/firewall/address-list"
_PODS = ip_network(POD_RANGE)


def serve(pipe: Connection) -> None:
    """Serve, and tell what was seen, until the pipe closes."""
    with Bigip(tls=False) as device:
        pipe.send(dict(device.document()))
        while True:
            try:
                order = pipe.recv()
            except EOFError:
                return
            if order == "requests":
                pipe.send([(e.method, e.path, e.bytes_in, e.bytes_out) for e in device.requests()])
            elif order == "count":
                pipe.send(len(device.requests()))
            elif order == ("members",):
                pipe.send({name for name in _addresses(device) if _is_pod(name)})
            elif order[0] == "holds":
                pipe.send(_addresses(device) >= set(order[1]))


def _addresses(device: Bigip) -> set[str]:
    """Whatever our lists hold."""
    found = device.objects(_LISTS, "/Common/bench/").values()
    return {one["name"] for body in found for one in body.get("addresses", ())}


def _is_pod(name: str) -> bool:
    return "/" not in name and ip_address(name) in _PODS
