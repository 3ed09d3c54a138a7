"""A stand-in for DataKit on loopback.

Imports core and the server that all stand-ins share; the command line and the tests import it.
"""
