"""The command line, and what it does to a running Func: `main.py` begins, `commands/` has a module each.

May import everything; nothing imports it.
"""

from .main import main

__all__ = ["main"]
