"""Masked networks. `config` is free of torch; the rest is imported where it is needed."""
