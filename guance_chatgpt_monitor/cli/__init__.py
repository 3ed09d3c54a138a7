"""The command line, and what it does to a running Func.

May import everything; nothing imports it.
"""

from .parser import main

__all__ = ["main"]
