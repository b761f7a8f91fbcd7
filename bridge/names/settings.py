"""How names are resolved, as values."""

from dataclasses import dataclass

from bridge.names.servers import Server


@dataclass(frozen=True, slots=True)
class NamesSettings:
    """Times in seconds. Without `servers`, those of the system.

    An answer is good for as long as it says, but at least `shortest` and at most `longest`. An address that is answered no more stays for
    `grace`, because clients remember it too. A name has at most `most` addresses, and a cluster at most `names` names. `attempts` is how
    often each server is asked before a question counts as failed; `threads` how many names are asked about at a time.
    """

    servers: tuple[Server, ...] = ()
    timeout: float = 2.0
    attempts: int = 2
    shortest: float = 5.0
    longest: float = 3600.0
    grace: float = 300.0
    most: int = 64
    names: int = 5000
    threads: int = 4
