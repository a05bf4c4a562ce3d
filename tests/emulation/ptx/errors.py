"""What goes wrong in an emulated program, and where."""


class EmulationError(Exception):
    """The program did something undefined, or something that this emulator does not know."""


class Fault(Exception):
    """Raised inside an instruction; the machine adds the instruction, the kernel's line and the thread.

    `thread` is an index into the threads that run together, None where no single thread is to blame.
    """

    def __init__(self, message: str, thread: int | None = None):
        super().__init__(message)
        self.thread = thread
