"""What runs in DataFlux Func only: the template, `main`, and what a task does there.

With core, it is the script set. Imports core alone; the command line may import it, `app` never does.
"""
