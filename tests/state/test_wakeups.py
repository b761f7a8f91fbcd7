"""Wake-ups: a committed batch is heard of, and so is every gap in listening."""

import os
import queue
import resource

from sqlalchemy import make_url

from bridge.state.audit_store import AuditStore
from bridge.state.database import Database
from bridge.state.wakeups import ANY, Wakeups
from tests.state.builders import Stores, batch
from tests.state.test_database import kill_others

SOON = 20.0


def test_a_batch_wakes_and_a_refused_one_does_not(database: Database) -> None:
    stores = Stores(database)
    heard: queue.Queue[str] = queue.Queue()
    with Wakeups(database) as wakeups:
        wakeups.register(heard.put)
        assert wakeups.wait_until_listening(SOON)
        stores.commit(batch())
        names = [heard.get(timeout=SOON)]
        if names == [ANY]:  # of the connection itself, when it was made after the registration
            names.append(heard.get(timeout=SOON))
    assert names[-1] == "east"


def test_after_a_lost_connection_everybody_looks_again(database: Database) -> None:
    stores = Stores(database)
    heard: queue.Queue[str] = queue.Queue()
    wakeups = Wakeups(database)
    wakeups.register(heard.put)
    with wakeups:
        assert heard.get(timeout=SOON) == ANY
        kill_others(make_url(database.conninfo).set(drivername="postgresql").render_as_string(hide_password=False))
        assert heard.get(timeout=SOON) == ANY
        database.close()
        stores.commit(batch())
        assert heard.get(timeout=SOON) == "east"


def test_a_process_with_many_connections_is_woken_too(database: Database) -> None:
    """A hundred clusters are more than a thousand watches, and a connection that breaks is made anew behind them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    stores = Stores(database)
    heard: queue.Queue[str] = queue.Queue()
    try:
        with Wakeups(database) as wakeups:
            wakeups.register(heard.put)
            assert wakeups.wait_until_listening(SOON)
            stores.commit(batch())
            while heard.get(timeout=SOON) != "east":
                pass
    finally:
        for one in many:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_closing_is_prompt_while_the_database_is_away() -> None:
    wakeups = Wakeups(Database("postgresql://me@127.0.0.1:1/state"))
    wakeups.start()
    assert not wakeups.wait_until_listening(0.2)
    wakeups.close()
    wakeups.close()


def test_closing_before_the_start_is_harmless(database: Database) -> None:
    Wakeups(database).close()


def test_a_device_that_is_to_be_read_now_is_no_change_of_a_cluster(database: Database) -> None:
    audits: queue.Queue[str] = queue.Queue()
    clusters: queue.Queue[str] = queue.Queue()
    with Wakeups(database) as wakeups:
        wakeups.register(clusters.put)
        wakeups.register_audits(audits.put)
        assert wakeups.wait_until_listening(SOON)
        AuditStore(database).ask("edge")
        assert audits.get(timeout=SOON) == "edge"
    assert set(clusters.queue) <= {ANY}
