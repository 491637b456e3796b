"""One video out of a corpus: all that is held of it and of its copies, and how it is taken away."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.card import write_card
from ingest.export import TABLES, export_parquet
from ingest.ledger import purged_contents
from ingest.manifest import MANIFEST_NAME, Manifest, VideoRow
from ingest.pack import DOWNLOADS, SHARDS, STAGING, recover
from ingest.place import has_manifest_at, manifest_place
from ingest.records import Level
from ingest.shards import INDEX_NAME, ShardReader, remove_videos
from ingest.sources import SourceFile, content_sha256
from ingest.sources.source_file import METADATA_SUFFIX
from ingest.text.chat import forget_answers
from ingest.text.rewrite import CACHE_NAME


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a corpus holds of a video. Everything but the counts and hashes is content and is forgotten with it."""

    video_ids: tuple[str, ...]
    """Itself, files of the same bytes, and what was refused as a repeat of it."""
    contents: tuple[str, ...]
    """SHA-256 of their files, as far as they were read."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of the manifest by table."""
    samples: dict[str, int] = field(default_factory=dict)
    """By level."""
    shards: dict[str, str] = field(default_factory=dict)
    """Name -> SHA-256 of the tars that hold one."""
    fingerprint: str = ""
    """Of the corpus with them; empty without shards."""
    files: tuple[str, ...] = ()
    """What lies in the corpus under their names: downloads, samples that wait to be packed."""
    left: tuple[str, ...] = ()
    """Files outside of the corpus, which belong to whoever put them there."""
    repeat_of: str = ""
    """The video that it was refused as a repeat of, which stays."""
    texts: tuple[str, ...] = ()
    """What was said and written of them, and of no other video."""


def find_held(corpus: Path, video_id: str) -> Held | None:
    """Look a video up in manifest and shards; None where neither knows it. Nothing is changed.

    Raises:
        ValueError: no corpus, or a damaged one.
    """
    has_manifest, has_shards = has_manifest_at(corpus), (corpus / SHARDS / INDEX_NAME).is_file()
    if not has_manifest and not has_shards:
        raise ValueError(f"{corpus}: no {MANIFEST_NAME} and no {SHARDS}/{INDEX_NAME} here, no corpus: name its folder")
    rows: list[VideoRow] = []
    counts: dict[str, int] = {}
    own, others = set[str](), set[str]()
    if has_manifest:
        with Manifest(manifest_place(corpus), read_only=True) as manifest:
            everything = manifest.videos()
            rows = _family(everything, video_id)
            ids = [row.video_id for row in rows]
            counts = {table: count for table, count in manifest.counts(ids).items() if count} if ids else {}
            for row in everything:
                (own if row.video_id in ids else others).update(_texts_of(manifest, row))
    named = tuple(row.video_id for row in rows) or (video_id,)
    contents = {row.sha256 for row in rows if row.sha256}
    samples, shards, fingerprint = _in_shards(corpus, named, contents, own, others) if has_shards else ({}, {}, "")
    if not rows and not samples:
        return None
    told = next((row.reason for row in rows if row.video_id == video_id), "")
    return Held(
        video_ids=named,
        contents=tuple(sorted(contents)),
        rows=counts,
        samples=samples,
        shards=shards,
        fingerprint=fingerprint,
        files=tuple(str(path) for path in _files(corpus, rows, named)),
        left=tuple(sorted(row.path for row in rows if not _inside(corpus, row.path))),
        repeat_of=told.removeprefix("repeats ").partition(" (")[0] if told.startswith("repeats ") else "",
        texts=tuple(sorted(_only(own, others))),
    )


def remove_held(corpus: Path, held: Held) -> None:
    """Take a video out of manifest, shards, staged samples, downloads, data card and exports inside the corpus.

    Run again after a kill it completes what was begun. The corpus must be held against an ingest (`run.writable`).

    Raises:
        ValueError: a part is damaged, or in use by another process.
    """
    recover(corpus)
    if has_manifest_at(corpus):
        with Manifest(manifest_place(corpus)) as manifest:
            manifest.remove(held.video_ids)
    if (corpus / SHARDS / INDEX_NAME).is_file():
        remove_videos(corpus / SHARDS, held.video_ids)
    for name in held.files:
        Path(name).unlink(missing_ok=True)
    forget_answers(corpus / CACHE_NAME)
    _write_card(corpus)
    for path in sorted(corpus.rglob(f"{TABLES[0]}.parquet")):
        export_parquet(corpus, path.parent)


def without_purged(
    files: Sequence[SourceFile], manifest: Manifest, corpus: Path
) -> tuple[list[SourceFile], dict[str, str]]:
    """The files that may come in, and by relative path why others may not: their bytes were purged.

    New and changed files are read for it. What was fetched anew is removed again.

    Raises:
        ValueError: a ledger that was changed, or a purge that has not ended.
    """
    purged = purged_contents([corpus])
    if not purged:
        return list(files), {}
    known = {row.source_relative: row.stamp for row in manifest.videos()}
    kept, refused = [], {}
    for file in files:
        same = known.get(file.relative, "").startswith(file.stamp)
        told = "" if same else purged.get(content_sha256(file), "")
        if told:
            refused[file.relative] = told
            _remove_download(corpus, file)
        else:
            kept.append(file)
    return kept, refused


def _family(rows: Sequence[VideoRow], video_id: str) -> list[VideoRow]:
    """The rows of a video, of files with its bytes, and of what was refused as a copy of it."""
    found = {row.video_id: row for row in rows if row.video_id == video_id}
    while True:
        contents = {row.sha256 for row in found.values() if row.sha256}
        starts = tuple(f"repeats {name} (" for name in found)
        same = {f"the same bytes as {row.source_relative}" for row in found.values()}
        wider = {
            row.video_id: row
            for row in rows
            if found and (row.sha256 in contents or row.reason.startswith(starts) or row.reason in same)
        } | found
        if len(wider) == len(found):
            return [found[name] for name in sorted(found)]
        found = wider


def _texts_of(manifest: Manifest, row: VideoRow) -> Iterator[str]:
    yield row.title
    for clip in manifest.clips(row.video_id):
        yield from (clip.narration, *clip.alternatives)
    yield from (chapter.title for chapter in manifest.chapters(row.video_id))
    yield from (one.text for one in manifest.rejections(row.video_id))
    yield from (one.quote for one in manifest.evidence(row.video_id))
    for transcript in manifest.transcripts(row.video_id):
        yield from (segment.text for segment in transcript.segments)


def _in_shards(
    corpus: Path, video_ids: Collection[str], contents: set[str], own: set[str], others: set[str]
) -> tuple[dict[str, int], dict[str, str], str]:
    """Samples by level, the tars that hold them, the fingerprint; adds to hashes and texts."""
    reader = ShardReader(corpus / SHARDS)
    samples: dict[str, int] = {}
    shards: dict[str, str] = {}
    for level in Level:
        for entry in reader.entries(level):
            facts = reader.facts(entry.key)
            mine = entry.video_id in video_ids
            (own if mine else others).update((facts["text"], *facts["alternatives"]))
            if mine:
                samples[level.value] = samples.get(level.value, 0) + 1
                shard = reader.place_of(entry.key).shard
                shards[shard.name] = shard.sha256
                contents.update(filter(None, [facts["source_sha256"]]))
    reader.close()
    return samples, shards, reader.fingerprint


def _only(own: Iterable[str], others: Collection[str]) -> Iterator[str]:
    """Texts that stand in no other: whole sentences, because single words are everybody's."""
    rest = "\n".join(others)
    return (text for text in own if len(text.split()) > 2 and text not in rest)


def _inside(corpus: Path, path: str) -> bool:
    return Path(path).resolve().is_relative_to(corpus.resolve())


def _files(corpus: Path, rows: Sequence[VideoRow], video_ids: Collection[str]) -> Iterator[Path]:
    for row in rows:
        path = Path(row.path)
        if path.resolve().is_relative_to((corpus / DOWNLOADS).resolve()):
            yield from (one for one in (path, path.with_name(path.stem + METADATA_SUFFIX)) if one.is_file())
    for video_id in video_ids:
        yield from (path for path in [corpus / STAGING / f"{video_id}.tar"] if path.is_file())


def _remove_download(corpus: Path, file: SourceFile) -> None:
    path = Path(file.location)
    if not file.remote and path.resolve().is_relative_to((corpus / DOWNLOADS).resolve()):
        for one in (path.with_name(path.stem + METADATA_SUFFIX), path):
            one.unlink(missing_ok=True)


def _write_card(corpus: Path) -> None:
    """The card anew, if there was one: its pictures and tables show single videos."""
    cards = [corpus / "card.md", corpus / "card.html", corpus / "card"]
    if not any(path.exists() for path in cards):
        return
    shutil.rmtree(cards[-1], ignore_errors=True)
    write_card(corpus)
