"""The local page: our dashboards and monitors, drawn over what the local DataKit has received.

`dql` reads the queries, `points` holds what they ask, `evaluation` answers them. Imports core; the local
DataKit, the command line and the tests import it.
"""
