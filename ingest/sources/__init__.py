"""Where videos come from: a folder, a list, a bucket, addresses."""

from ingest.sources.find import find_videos
from ingest.sources.metadata import read_metadata
from ingest.sources.remote import content_sha256, local_copy
from ingest.sources.source_file import SourceFile, assign_ids
from ingest.sources.storage import SourceError

__all__ = [
    "SourceError",
    "SourceFile",
    "assign_ids",
    "content_sha256",
    "find_videos",
    "local_copy",
    "read_metadata",
]
