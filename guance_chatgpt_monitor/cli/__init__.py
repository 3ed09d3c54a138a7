"""The command line. `main.py` is the entry point; `commands/` has a module for each command.

It may import everything; nothing imports it.
"""

from .main import main

__all__ = ["main"]
