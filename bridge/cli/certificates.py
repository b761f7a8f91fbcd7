"""The certificate that a server of ours shows."""

import ssl
import threading
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class Certificates:
    """A certificate and its key in files that are replaced now and then; whoever connects is shown what they hold then."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._marks: tuple[tuple[int, int, int], ...] = ()
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._trouble = ""

    def context(self) -> ssl.SSLContext | None:
        """What the files hold now, else what they held last; None while they never held anything that makes sense."""
        with self._lock:
            try:
                marks = tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in map(Path.stat, self._files))
                if marks != self._marks:
                    self._context, self._marks = self._loaded(), marks
                    self._trouble = ""
            except (OSError, ssl.SSLError) as error:  # in the middle of a replacement, or never there
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    log.warning("certificate not read", file=str(self._files[0]), error=self._trouble)
            return self._context

    @property
    def trouble(self) -> str:
        """Why the files were not read when they were looked at last; "" when they were."""
        return self._trouble

    def following(self) -> ssl.SSLContext | None:
        """One for a server that takes a single one: whoever connects is shown what the files hold then. None as `context`."""
        found = self.context()
        if found is not None:
            found.sni_callback = self._shown
        return found

    def _shown(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        connection.context = self.context() or connection.context

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        return context
