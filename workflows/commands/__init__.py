"""The commands of `jetlut`, a file each: parse, call the library, print.

A command imports what is slow (JAX, MLflow, matplotlib) when it runs, not before.
"""
