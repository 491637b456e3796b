"""The HTTP service over a search index, and the page that it serves."""
