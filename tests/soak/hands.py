"""What people do at the consoles of devices: they add an address that is nobody's to a group of ours, or start a device again."""

from collections.abc import Sequence
from random import Random

from bridge.model.identity import Kind, ObjectKey, Scope
from tests.soak.estate import Post
from tests.soak.meaning import CLUSTER

ADDED = "10.66.0.66"  # what every rig's `tamper` adds: the address of no pod


class Hands:
    """Now and then somebody adds an address to a group of ours, or starts a device again that loses something by it."""

    def __init__(self, posts: Sequence[Post], random: Random) -> None:
        self._posts, self._random = posts, random
        self.count = 0

    def maybe(self) -> None:
        """Once in twenty times."""
        if self._random.random() >= 0.05:
            return
        post = self._random.choice(self._posts)
        if post.restart is not None and self._random.random() < 0.5:
            post.restart()
            self.count += 1
            return
        key = ObjectKey(Kind.GROUP, CLUSTER, Scope.SERVICE, self._random.choice(("shop", "bank")), "web")
        try:
            with post.alone():
                post.rig.tamper(key)
        except Exception:  # noqa: BLE001 (each device says in its own way that the group is not there at the moment)
            return
        self.count += 1
