"""Experiments compiled to Dagster: the only folder that knows of it."""
