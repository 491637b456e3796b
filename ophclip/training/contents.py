"""What a corpus holds, for the card of what is trained on it. Torch-free."""

from __future__ import annotations

from collections import Counter

from ingest.records import Level
from ingest.shards import ShardReader


def corpus_contents(reader: ShardReader) -> dict[str, str]:
    """Rows on a corpus: its videos and clips, and how many videos came under which licence."""
    first_keys: dict[str, str] = {}
    narrated: dict[str, bool] = {}
    for level in (Level.VIDEO, *Level):
        for entry in reader.entries(level):
            first_keys.setdefault(entry.video_id, entry.key)
            narrated[entry.video_id] = entry.narrated
    licences = Counter(str(reader.facts(key)["license"]).strip() or "none given" for key in first_keys.values())
    counts = f"{sum(narrated.values())} narrated, {len(narrated) - sum(narrated.values())} silent"
    return {
        "videos": counts,
        "clips": str(len(reader.entries(Level.CLIP))),
        "licences of the videos": "; ".join(f"{name}: {count}" for name, count in licences.most_common()),
    }
