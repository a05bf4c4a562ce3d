"""Stop politely: SIGTERM and Ctrl-C ask the training to write a checkpoint and end."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class StopRequest:
    """Whether somebody asked the process to stop, and how.

    Attributes:
        signal: the number of the first signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def _take(self, number: int, _frame: object) -> None:
        if self.signal is not None:  # the second signal means now
            raise KeyboardInterrupt
        self.signal = number


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catch SIGTERM and SIGINT while the block runs; the handlers from before come back afterwards.

    Outside the main thread Python allows no handlers: the request then never becomes true.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {s: signal.signal(s, request._take) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
