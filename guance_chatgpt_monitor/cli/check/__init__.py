"""The command `check`: each link of the chain from OpenAI to DataKit, and what to do where one is broken.

Part of the command line.
"""
