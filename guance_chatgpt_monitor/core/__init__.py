"""From a call to a delivered line: what runs in DataFlux Func and in applications alike.

Imports nothing of ours; everything may import it. In Func, each module is a script of the same name.
"""
