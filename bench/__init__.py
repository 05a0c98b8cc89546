"""Measures how fast mailops sends, next to its peers, on one machine: run by hand, asserted nowhere.

`make bench-quick` and `make bench`; docs/performance.md tells what the figures mean.
"""
