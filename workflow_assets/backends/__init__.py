"""Backends: who does the tasks of a run."""
