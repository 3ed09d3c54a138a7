"""The commands `install` and `uninstall`: what they put into a running Func, and take out of it.

Part of the command line.
"""
