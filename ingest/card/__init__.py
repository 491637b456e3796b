"""The data card of a corpus: what it holds, where it comes from, what was left out, with pictures."""

from ingest.card.facts import Facts, Figure, gather
from ingest.card.write import write_card

__all__ = ["Facts", "Figure", "gather", "write_card"]
