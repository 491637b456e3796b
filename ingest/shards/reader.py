"""Random access to the samples of a corpus."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.parsing import parse_json
from ingest.records import Level, Sample
from ingest.shards.format import FRAMES_SUFFIX, JSON_SUFFIX, member_places, members_to_sample, sha256_of_stream
from ingest.shards.index import INDEX_NAME, Entry, Place, Shard, parse_index, plain_name
from ingest.shards.store import LocalShards, ShardStore


class ShardReader:
    """Random access to the samples of a corpus by key, in constant time.

    Safe to share between threads and to send to other processes.
    """

    def __init__(self, root: Path | ShardStore) -> None:
        """`root` is the corpus folder, its `shards` folder, or a store. Raises ValueError if no whole set is there."""
        self._store: ShardStore = LocalShards(root) if isinstance(root, Path) else root
        self._index = parse_index(self._store.index(), f"{self._store.place}/{INDEX_NAME}")
        self._store.check(self._index.shards)

    @property
    def shards(self) -> Sequence[Shard]:
        """All shards, in the order of the index."""
        return self._index.shards

    @property
    def empty_shards(self) -> Sequence[str]:
        """Names of the shards that hold no sample."""
        held = {place.shard.name for place in self._index.places.values()}
        return tuple(shard.name for shard in self.shards if shard.name not in held)

    def notices(self) -> Sequence[str]:
        """What a user should know before the first read, one line each."""
        empty = self.empty_shards
        told = f"{len(empty)} of {len(self.shards)} shards hold no sample and are passed over: {', '.join(empty)}"
        return (*([told[:200]] if empty else []), *self._store.notices(self.shards))

    def entries(self, level: Level) -> Sequence[Entry]:
        """All samples of one level, in shard order."""
        return tuple(self._index.entries[level])

    def shard_of(self, key: str) -> str:
        """Where the shard of a sample lies. Raises KeyError for an unknown key."""
        return self._named(self._index.places[key].shard)

    def place_of(self, key: str) -> Place:
        """The shard of a sample and where in it its members lie. Raises KeyError for an unknown key."""
        return self._index.places[key]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the plain names and checksums of all shards: equal corpora have equal ones."""
        lines = sorted(f"{plain_name(shard.name)} {shard.sha256}\n" for shard in self.shards)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def read(self, key: str) -> Sample:
        """One sample with its JPEGs still encoded.

        Raises:
            KeyError: an unknown key.
            ValueError: damaged members; names shard and sample.
        """
        place = self._index.places[key]
        frames_block, facts_json = self._members(place)
        try:
            sample = members_to_sample(frames_block, facts_json)
        except ValueError as error:
            raise ValueError(f"{self.shard_of(key)}, sample {key}: {error}") from error
        if (sample.key, sample.video_id) != (key, place.entry.video_id):
            found = f"{sample.key} of video {sample.video_id} lies there"
            raise ValueError(f"{self.shard_of(key)}, sample {key}: {found}: copy the corpus anew")
        return sample

    def facts(self, key: str) -> Mapping[str, Any]:
        """All fields of one sample but its pictures, which are not read. Raises KeyError for an unknown key."""
        place = self._index.places[key]
        facts: dict[str, Any] = parse_json(self._store.read(place.shard, place.json_offset, place.json_bytes))
        return facts

    def text(self, key: str) -> str:
        """The text of one sample, without reading its pictures. Raises KeyError for an unknown key."""
        return str(self.facts(key)["text"])

    def verify(self) -> None:
        """Read every shard whole and compare checksums. Raises ValueError naming the first that differs."""
        for shard in self.shards:
            self._verify(shard)

    def verify_shard_of(self, key: str) -> None:
        """Read the shard of one sample whole: its checksum, and that its members are those of the index.

        Raises:
            KeyError: an unknown key.
            ValueError: the shard differs from the index; names it.
        """
        shard = self._index.places[key].shard
        self._verify(shard)
        try:
            with self._store.open(shard) as file:
                found = member_places(file)
        except tarfile.TarError as error:
            raise ValueError(f"{self._named(shard)}: no readable tar ({error}): copy the corpus anew") from error
        for named, place in self._index.places.items():
            frames, facts = found.get(named + FRAMES_SUFFIX), found.get(named + JSON_SUFFIX)
            expected = (place.frames_offset, place.frames_bytes), (place.json_offset, place.json_bytes)
            if place.shard == shard and (frames, facts) != expected:
                raise ValueError(
                    f"{self._named(shard)}: the members of sample {named} are not where {INDEX_NAME} says: "
                    "copy the corpus anew"
                )

    def close(self) -> None:
        """Close the files that were opened; a later read opens them again."""
        self._store.close()

    def _members(self, place: Place) -> tuple[bytes, bytes]:
        frames_block = self._store.read(place.shard, place.frames_offset, place.frames_bytes)
        return frames_block, self._store.read(place.shard, place.json_offset, place.json_bytes)

    def _verify(self, shard: Shard) -> None:
        with self._store.open(shard) as file:
            if sha256_of_stream(file) != shard.sha256:
                raise ValueError(
                    f"{self._named(shard)}: its bytes differ from the checksum in {INDEX_NAME}: copy the corpus anew"
                )

    def _named(self, shard: Shard) -> str:
        return f"{self._store.place}/{shard.name}"
