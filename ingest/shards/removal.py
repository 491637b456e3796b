"""Videos out of shards: what holds their samples is written anew without them, and the index replaced by one rename.

A tar that is written anew gets a new name, with the beginning of its checksum: whoever opened the corpus before goes on
reading the old file or is told that it is gone, and never reads new bytes at old places.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ingest import atomic
from ingest.records import Level
from ingest.shards.index import INDEX_NAME, content_name
from ingest.shards.reader import ShardReader
from ingest.shards.writer import OpenShard

_DRAFT = "purging"


def remove_videos(folder: Path, video_ids: Collection[str]) -> None:
    """Write the shards in `folder` anew without these videos, and drop every tar that the index does not name.

    A kill at any moment leaves the old index or the new one, each with all of its tars; run again, it is completed.

    Raises:
        ValueError: shards that are damaged, or no shards.
    """
    reader = ShardReader(folder)
    index = json.loads((folder / INDEX_NAME).read_bytes())
    shards = [_without(folder, reader, record, video_ids) for record in index["shards"]]
    if shards != index["shards"]:
        left = [record for record in shards if record is not None]
        counts = {level.value: 0 for level in Level}
        for record in left:
            counts[record["level"]] += len(record["samples"])
        content = {**index, "counts": counts, "shards": left}
        atomic.sync_folder(folder)
        atomic.write_text(folder / INDEX_NAME, json.dumps(content, separators=(",", ":"), ensure_ascii=False))
    reader.close()
    named = {shard.name for shard in ShardReader(folder).shards}
    for path in (*folder.glob("*.tar"), *folder.glob(f"{_DRAFT}*"), *folder.glob(".*.part")):
        if path.name not in named:
            path.unlink()
    atomic.sync_folder(folder)


def _without(
    folder: Path, reader: ShardReader, record: Mapping[str, Any], video_ids: Collection[str]
) -> Mapping[str, Any] | None:
    """The index' record of one tar without some videos; the same if it holds none of them, None if nothing is left."""
    kept = [key for key, video_id, *_ in record["samples"] if video_id not in video_ids]
    if len(kept) == len(record["samples"]):
        return record
    if not kept:
        return None
    draft = OpenShard(folder / f"{_DRAFT}.tar", Level(record["level"]))
    try:
        for key in kept:
            draft.add(reader.read(key))
    except ValueError:
        draft.abandon()
        raise
    written = draft.finish()
    written["name"] = content_name(record["name"], written["sha256"])
    draft.path.replace(folder / written["name"])
    return written
