"""A future that is made of another one's result, and takes that back when it is cancelled."""

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Generic, TypeVar

from splitnet.errors import SplitNetError, UnavailableError, without_frames

logger = logging.getLogger(__name__)

Source = TypeVar("Source")
Made = TypeVar("Made")


class Chained(Future[Made], Generic[Source, Made]):
    """Ends when its source does: with what is made of the result, or with the error.

    Nothing else refers to both, or their tensors would stay until the next collection of cycles. Nor does the
    source, however long it is kept, refer to this once it has ended.
    """

    def __init__(self, source: "Future[Source]", make: Callable[[Source], Made]) -> None:
        """Wait for `source`.

        Args:
            source: is cancelled where this is.
            make: called with its result; may raise SplitNetError.
        """
        super().__init__()
        self._source: Future[Source] | None = source
        waiting = [partial(self._settle, make=make)]  # a future keeps its callbacks for good, but not this
        source.add_done_callback(lambda done: waiting.pop()(done))  # noqa: PLW0108  (popped when it is called)

    def cancel(self) -> bool:
        """Cancel this and its source; see `Future.cancel`."""
        source, cancelled = self._source, super().cancel()
        if cancelled and source is not None:
            source.cancel()
        return cancelled

    def _settle(self, source: "Future[Source]", *, make: Callable[[Source], Made]) -> None:
        self._source = None
        if not self.set_running_or_notify_cancel():
            return
        try:
            made = make(source.result())
        except SplitNetError as err:
            self.set_exception(without_frames(err))
        except CancelledError:
            self.set_exception(UnavailableError("the request was dropped"))
        except Exception as err:  # in a callback nobody else would ever end the request
            logger.exception("nothing could be made of an answer")
            self.set_exception(without_frames(err))
        else:
            self.set_result(made)
