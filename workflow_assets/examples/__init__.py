"""Experiments to learn from and to try the installation with."""
