"""A stand-in for OpenAI's API on loopback.

Imports core and the server that all stand-ins share; the command line and the tests import it.
"""
