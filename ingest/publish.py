"""A corpus to a bucket: its shards first, then its index, so that readers find the old corpus or the new one whole.

A shard goes under a name that holds the beginning of its checksum and is never written over. `index.json`, which
readers begin with, is replaced by one request, which a storage does whole or not at all. Shards that it no longer names
stay for those who opened the corpus before; `replaced-TIME.json` says which they were, and since when.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.disk import writable
from ingest.ledger import purged_contents, read_ledger
from ingest.pack import SHARDS
from ingest.parsing import parse_json
from ingest.records import Level
from ingest.shards import INDEX_NAME, LocalShards, sha256_of
from ingest.shards.index import Shard, content_name, parse_index
from ingest.shards.store import PUBLISH_AGAIN, check_size
from ingest.sources.remote import read_bytes, sizes_at
from ingest.sources.storage import SourceError, file_system, shown, told

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
_REPLACED = re.compile(r"replaced-(\d{8}T\d{12}Z)\.json")
_OURS = re.compile(rf"({'|'.join(Level)})-\d{{6,}}(-[0-9a-f]{{8}})?\.tar")
_TIME = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What came of it."""

    place: str
    shards: int
    sent: int
    """Shards that were not there before."""
    sent_bytes: int
    dropped: int
    """Shards that no index names any more."""

    def __str__(self) -> str:
        sent = f"{self.sent} of {self.shards} shards sent ({self.sent_bytes / 1e9:.3g} GB)"
        return f"{self.place}: {sent}, {self.dropped} old ones dropped"


@dataclass(frozen=True, slots=True)
class Bucket:
    """The folder of shards behind an address."""

    place: str
    """Its address."""
    system: Any
    root: str
    """The folder as the file system names it."""

    @classmethod
    def at(cls, address: str) -> Bucket:
        """The shards of a corpus at an address. Raises ValueError in one line for an address that is none."""
        if "://" not in address or address.startswith(("file://", "local://")):
            raise ValueError(f"{shown(address)}: no address of a bucket: give s3://BUCKET/CORPUS, or copy to a folder")
        place = f"{address.rstrip('/').removesuffix('/shards')}/shards"
        return cls(place, *file_system(place))

    def put(self, name: str, path: Path) -> None:
        """Send a file; a large one in parts, which appear as one."""
        with told(f"{self.place}/{name}", "written"):
            self.system.put_file(str(path), f"{self.root}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """Replace a file by one request."""
        with told(f"{self.place}/{name}", "written"):
            self.system.pipe_file(f"{self.root}/{name}", data)

    def drop(self, name: str) -> None:
        """Delete a file."""
        with told(f"{self.place}/{name}", "deleted"):
            self.system.rm_file(f"{self.root}/{name}")

    def changed(self, name: str) -> datetime:
        """When a file was written."""
        with told(f"{self.place}/{name}"):
            when: datetime = self.system.modified(f"{self.root}/{name}")
        return when if when.tzinfo else when.replace(tzinfo=UTC)

    def abort_unfinished(self) -> None:
        """Have the parts dropped that a killed run left: they are seen by nobody and cost room."""
        if not self.place.startswith(("s3://", "s3a://")):
            return  # others forget them by themselves
        bucket, prefix, _version = self.system.split_path(self.root)
        try:
            with told(self.place):
                answer = self.system.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
                for upload in answer.get("Uploads", []):
                    self.system.abort_mpu(bucket, upload["Key"], upload["UploadId"])
        except SourceError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            log.warning("%s: unfinished uploads may not be listed: let a lifecycle rule drop them", self.place)


def publish(corpus: Path, address: str, keep_days: float = 7.0, progress: Progress | None = None) -> Published:
    """Put the shards of a corpus behind an address; what is there already is not sent again.

    A kill at any moment leaves the old corpus or the new one to readers; run again, it is completed. One process at a
    time may publish to an address.

    Args:
        corpus: that `ophclip ingest` wrote.
        address: of the corpus there.
        keep_days: how long shards are kept that a later corpus replaced. 0 drops them at once.
        progress: called with (done, total, message).

    Raises:
        ValueError: no corpus, a shard that is damaged, a storage that cannot be written; one line.
    """
    if not keep_days >= 0:
        raise ValueError(f"--keep-days: {keep_days} given, 0 or more expected")
    folder = corpus / SHARDS
    LocalShards(folder).index()
    bucket = Bucket.at(address)
    with writable(corpus, "ingest"):
        purged_contents([corpus])  # refuses where a purge has not ended
        shards = parse_index(LocalShards(folder).index(), str(folder / INDEX_NAME)).shards
        bucket.abort_unfinished()
        sent = _send(bucket, folder, shards, progress or (lambda _done, _total, _message: None))
        content = _index_to_publish(folder)
        _commit(bucket, content)
        dropped, kept = _sweep(bucket, {record["name"] for record in content["shards"]}, timedelta(days=keep_days))
    if kept and read_ledger(corpus):
        log.warning(
            "%s: %d shards of earlier corpora stay there for %g days and may hold what was purged since: --keep-days 0 "
            "drops them now",
            *(bucket.place, kept, keep_days),
        )
    return Published(
        place=bucket.place,
        shards=len(shards),
        sent=len(sent),
        sent_bytes=sum(shard.size_bytes for shard in sent),
        dropped=dropped,
    )


def _index_to_publish(folder: Path) -> dict[str, Any]:
    """The index with the names that the shards get there."""
    index: dict[str, Any] = parse_json((folder / INDEX_NAME).read_bytes())
    records = [{**one, "name": content_name(one["name"], one["sha256"])} for one in index["shards"]]
    return {**index, "shards": records}


def _send(bucket: Bucket, folder: Path, shards: Sequence[Shard], report: Progress) -> list[Shard]:
    """Send the shards that are not there, each after a look at its checksum; which they were."""
    there = sizes_at(bucket.place)
    sent = []
    for number, shard in enumerate(shards):
        report(number, len(shards), shard.name)
        name = content_name(shard.name, shard.sha256)
        if there.get(name) == shard.size_bytes:
            continue
        if sha256_of(folder / shard.name) != shard.sha256:
            raise ValueError(
                f"{folder / shard.name}: its bytes differ from the checksum in {INDEX_NAME}, nothing was published: "
                "restore it or make the corpus anew"
            )
        bucket.put(name, folder / shard.name)
        sent.append(shard)
    return sent


def _commit(bucket: Bucket, content: Mapping[str, Any]) -> None:
    """See that all shards are there, note what the index there names now, and replace it."""
    data = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    there = sizes_at(bucket.place)
    for shard in parse_index(data, INDEX_NAME).shards:
        check_size(f"{bucket.place}/{shard.name}", there.get(shard.name), shard, PUBLISH_AGAIN)
    before = read_bytes(f"{bucket.place}/{INDEX_NAME}") if INDEX_NAME in there else b""
    if before == data:
        return
    if before:
        names = [shard.name for shard in parse_index(before, f"{bucket.place}/{INDEX_NAME}").shards]
        bucket.write(datetime.now(UTC).strftime(f"replaced-{_TIME}.json"), json.dumps(names).encode())
    bucket.write(INDEX_NAME, data)


def _sweep(bucket: Bucket, named: Collection[str], keep: timedelta) -> tuple[int, int]:
    """Drop shards that no index has named for so long, and what a run that was killed sent that long ago.

    Returns how many went, and how many stay that are not `named`.
    """
    now = datetime.now(UTC)
    there = sizes_at(bucket.place)
    kept, old = set(named), []
    for name in there:
        if found := _REPLACED.fullmatch(name):
            if now - datetime.strptime(found[1], _TIME).replace(tzinfo=UTC) < keep:
                kept.update(parse_json(read_bytes(f"{bucket.place}/{name}")))
            else:
                old.append(name)
    shards = [name for name in there if _OURS.fullmatch(name) and name not in named]
    dropped = [name for name in shards if name not in kept and (not keep or now - bucket.changed(name) >= keep)]
    for name in (*dropped, *old):
        bucket.drop(name)
    return len(dropped), len(shards) - len(dropped)
