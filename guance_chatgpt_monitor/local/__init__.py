"""Stand-ins to try the product with and to test it against: Func, DataKit and OpenAI on loopback.

Import core and nothing else of ours; the command line and the tests import them.
"""
