"""Figures of the design as ratios; `python -m test.bench`."""
