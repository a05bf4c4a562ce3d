"""Executes the PTX of a kernel on numpy, and says where it does something undefined."""

from .counters import BankUse, Counters, Traffic
from .errors import EmulationError
from .launch import TRITON_HIDDEN_POINTERS, WrittenBytes, launch, load_program
from .machine import Order

__all__ = [
    "TRITON_HIDDEN_POINTERS",
    "BankUse",
    "Counters",
    "EmulationError",
    "Order",
    "Traffic",
    "WrittenBytes",
    "launch",
    "load_program",
]
