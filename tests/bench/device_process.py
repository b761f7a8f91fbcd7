"""A simulated BIG-IP in a process of its own."""

from multiprocessing.connection import Connection

from bridge.lab.devices.bigip import Bigip


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
