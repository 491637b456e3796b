"""Retrieval between narrations and clips, titles and videos: ranks, their figures, and the result that is written."""
