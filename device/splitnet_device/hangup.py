"""On SIGHUP the device program goes over to the newest version that lies beside its package."""

import logging
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from splitnet.errors import SplitNetError
from splitnet.tier import PackageFolder
from splitnet_device.session import Session

logger = logging.getLogger(__name__)


@contextmanager
def following_versions(session: Session, package: Path, *, key: Path | None) -> Iterator[None]:
    """Until the block is left, load the newest version in the folder of `package` at each SIGHUP.

    What cannot be loaded, or is not signed with `key` where there is one, is logged, and the running version goes
    on. Does nothing outside the main thread, which alone is told of signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    folder = PackageFolder(package.parent, session.manifest.model.name, key=key)
    loader = threading.Thread(target=_follow, args=(session, folder, signals), name="hangup", daemon=True)

    def note(number: int, _frame: FrameType | None) -> None:
        signals.put(number)  # of this queue, a handler may put where it has interrupted a put

    previous = signal.signal(signal.SIGHUP, note)
    loader.start()
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)
        signals.put(None)
        loader.join()


def _follow(session: Session, folder: PackageFolder, signals: "queue.SimpleQueue[int | None]") -> None:
    while signals.get() is not None:
        try:
            session.load(folder.newest().path)
        except SplitNetError as err:
            logger.warning("version %d goes on: %s", session.version, err)
        except Exception:  # or no later SIGHUP would be heard
            logger.exception("version %d goes on", session.version)
        else:
            logger.info("version %d runs", session.version)
