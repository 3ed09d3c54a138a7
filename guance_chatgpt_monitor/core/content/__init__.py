"""What was said in a call: `transcript` reads it, `redaction` redacts it, `log_line` makes a log of it.

Used only if asked for. Part of core: Func and applications import it.
"""
