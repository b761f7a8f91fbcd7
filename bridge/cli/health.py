"""Whether the process lives and whether it is ready, each as the list of what is wrong, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.cli.controller import Controller


class Health:
    """Asked from any thread; answers from memory, at once.

    What a restart cannot mend is no reason to restart: a device, a cluster or a database that is away leaves its loop alive, since that
    waits and tries again.
    """

    def __init__(self, controller: "Controller", hang_after: float) -> None:
        self._controller = controller
        self._hang_after = hang_after

    def dead(self) -> list[str]:
        """Loops that died, and loops that hang: no sign for `hang_after` seconds, while the database has answered for as long."""
        controller = self._controller
        if not controller.running:
            return []
        found = [f"{name}: its loop died" for name in controller.loops.dead()]
        found += [f"{name}: its thread died" for name in controller.threads_gone()]
        for name, seconds in controller.loops.still().items():
            if min(seconds, controller.probe.answering_for) > self._hang_after:
                found.append(f"{name}: no sign for {seconds:.0f} s")
        return found

    def missing(self) -> list[str]:
        """The database, its schema, and the clusters of which no complete picture is held here or watched by another replica."""
        probe = self._controller.probe
        found = [f"database: {probe.problem}"] if probe.problem else []
        found += [f"schema: {probe.schema}"] if probe.schema else []
        return found + [words for name in self._controller.cluster_names if (words := self._cluster(name))]

    def _cluster(self, name: str) -> str:
        controller = self._controller
        if not controller.tenures["cluster", name].held:
            owner = controller.probe.urgent.owners.get(("cluster", name), controller.holder)
            return "" if owner != controller.holder else f"cluster {name}: no replica watches it yet"
        intake, watcher = controller.intakes.get(name), controller.watchers.get(name)
        if intake is not None and intake.settled.is_set():
            return ""
        unlisted = [str(resource) for resource, one in watcher.health().items() if not one.synced] if watcher else []
        return f"cluster {name}: no complete list yet" + (f" of {', '.join(unlisted)}" if unlisted else "")
