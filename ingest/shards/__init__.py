"""The shard format: writer, reader, index, checksums. The only place that knows tar members.

`docs/shards.md` describes it for other readers.
A corpus keeps its samples in `CORPUS/shards`: `clip-000000.tar`, `video-000000.tar`, ... in the layout of webdataset,
with two members a sample, `KEY.frames` (its JPEGs, packed) and `KEY.json` (everything else). `index.json` holds the
offset of every member, so that any sample is one `pread` away, and the checksum of every tar, so that a corpus can be
named.
Reading needs neither webdataset nor torch.
"""

from ingest.shards.cache import CachedShards, default_cache, user_cache
from ingest.shards.format import (
    decode_jpeg,
    encode_jpeg,
    members_to_sample,
    pack_jpegs,
    read_tar,
    sample_to_members,
    sha256_of,
    unpack_jpegs,
    write_staged,
)
from ingest.shards.index import INDEX_NAME, INDEX_VERSION, Entry, Place
from ingest.shards.reader import ShardReader
from ingest.shards.removal import remove_videos
from ingest.shards.store import LocalShards, ShardStore
from ingest.shards.writer import ShardWriter

__all__ = [
    "INDEX_NAME",
    "INDEX_VERSION",
    "CachedShards",
    "Entry",
    "LocalShards",
    "Place",
    "ShardReader",
    "ShardStore",
    "ShardWriter",
    "decode_jpeg",
    "default_cache",
    "encode_jpeg",
    "members_to_sample",
    "pack_jpegs",
    "read_tar",
    "remove_videos",
    "sample_to_members",
    "sha256_of",
    "unpack_jpegs",
    "user_cache",
    "write_staged",
]
