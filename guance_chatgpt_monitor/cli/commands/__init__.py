"""The commands, a module each: `add_arguments(parser)`, and `run(options)`, which returns the exit code.

A module imports what its command needs only when that runs, so that help comes at once.
"""
