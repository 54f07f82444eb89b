"""Trials over fitting within a time budget: options are searched, the best networks kept."""

from made.search.folder import remove_search
from made.search.search import search_table

__all__ = ["remove_search", "search_table"]
