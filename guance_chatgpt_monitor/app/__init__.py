"""What runs in an application only: wrapping the openai SDK, and delivering what was observed to DataKit.

Imports core alone; the command line may import it, Func never does.
"""
