"""Plots: what findings look like, readable in grey, by the colour-blind, and on paper."""
