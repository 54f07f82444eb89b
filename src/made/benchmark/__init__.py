"""Benchmarks against published tables: suites of data, sealed test rows, results, their page.

Knows the public face of the library, and how published sets are split. Nothing is imported here:
the table of results needs no torch.
"""
