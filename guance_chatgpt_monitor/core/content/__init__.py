"""What was said in a call: reading it, redacting it, and the log line made of it. Used only if asked for.

Part of core: Func and applications import it, and it imports nothing above core.
"""
