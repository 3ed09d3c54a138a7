"""What runs in DataFlux Func only: the template, `main`, and what a task does there.

Together with core, it is the script set. Imports only core; `cli` may import it, `app` never does.
"""
