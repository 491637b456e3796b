"""What a corpus knows of a second: the words around it and their fate, consent, and the samples that hold it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ingest.manifest import Manifest, VideoRow
from ingest.place import has_manifest_at, manifest_place
from ingest.records import Level, Refused
from ingest.shards import ShardReader
from ophclip.tracing.records import Link, absent, broken, holds

MASKED = "identifier"
"""The reason of a correction that masked something."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusLinks:
    """The links that a corpus gives, the file it was made from, and the samples that hold the second."""

    links: tuple[Link, ...]
    source: str = ""
    """Where the file lay at the last ingest."""
    sha256: str = ""
    keys: tuple[str, ...] = ()


def corpus_links(
    corpora: Sequence[Path], video_id: str, sha256: str, second: float, around_seconds: float
) -> CorpusLinks:
    """Look a video up by content, then by id; what is missing is a broken link.

    Args:
        corpora: where it may be; none if the chain has no corpus.
        sha256: of its content; empty if that is not known.
        around_seconds: how far before and after the second words are shown.
    """
    if not corpora:
        told = "the video comes from no corpus that is known; name one with --corpus"
        return CorpusLinks(links=tuple(absent(name, told) for name in ("words", "consent", "samples")))
    found = next(filter(None, (_row(corpus, video_id, sha256) for corpus in corpora)), None)
    if found is None:
        places = ", ".join(map(str, corpora))
        told = f"{video_id} is not in {places}; name the corpus that holds it with --corpus"
        return CorpusLinks(links=tuple(broken(name, told) for name in ("words", "consent", "samples")))
    corpus, row = found
    if sha256 and row.sha256 != sha256:
        told = f"{corpus} holds other bytes under {video_id}: SHA-256 {row.sha256}"
        return CorpusLinks(links=tuple(broken(name, told) for name in ("words", "consent", "samples")))
    with Manifest(manifest_place(corpus), read_only=True) as manifest:
        words, consent = _words(manifest, row, second, around_seconds), _consent(manifest, corpus, row)
    samples, keys = _samples(corpus, row, second)
    return CorpusLinks(links=(words, consent, samples), source=row.path, sha256=row.sha256, keys=keys)


def _row(corpus: Path, video_id: str, sha256: str) -> tuple[Path, VideoRow] | None:
    if not has_manifest_at(corpus):
        return None
    with Manifest(manifest_place(corpus), read_only=True) as manifest:
        rows = manifest.videos()
    same = [row for row in rows if sha256 and row.sha256 == sha256]
    named = [row for row in rows if row.video_id == video_id]
    return next(((corpus, row) for row in (*same, *named)), None)


def _words(manifest: Manifest, row: VideoRow, second: float, around_seconds: float) -> Link:
    def near(records: Sequence[T]) -> list[T]:
        return [one for one in records if _overlaps(one, second - around_seconds, second + around_seconds)]

    transcripts = manifest.transcripts(row.video_id)
    changes = near(manifest.corrections(row.video_id))
    facts: dict[str, Any] = {
        "heard": [
            {**_span(segment), "text": " ".join(word.text for word in near(segment.words)) or segment.text,
             "words": [asdict(word) for word in near(segment.words)]}
            for segment in (near(transcripts[0].segments) if transcripts else ())
        ],
        "heard_by": f"{transcripts[0].engine} {transcripts[0].model}" if transcripts else "",
        "corrected": [
            {**_span(one), "before": one.before, "after": one.after, "rule": one.reason}
            for one in changes if one.reason != MASKED
        ],
        "masked": [{**_span(one), "as": one.after} for one in changes if one.reason == MASKED],
        "refused": [
            {**_span(one), "kind": one.kind.value, "text": one.text, "rule": one.reason}
            for one in near(manifest.rejections(row.video_id))
        ],
        "clips": [{**_span(one), "narration": one.narration} for one in near(manifest.clips(row.video_id))],
        "title": row.title,
        "title_rests_on": [
            {"attribute": one.attribute, "value": one.value, "origin": one.origin, "quote": one.quote}
            for one in manifest.evidence(row.video_id)
        ],
    }  # fmt: skip
    if not transcripts:
        return absent("words", f"nothing was heard in {row.video_id}", **facts)
    return holds("words", **facts)


def _consent(manifest: Manifest, corpus: Path, row: VideoRow) -> Link:
    changes, refused = manifest.corrections(row.video_id), manifest.rejections(row.video_id)
    return holds(
        "consent",
        corpus=str(corpus),
        license=row.license,
        consent=row.consent,
        split=row.split,
        uploader=row.uploader,
        webpage_url=row.webpage_url,
        state=row.state.value,
        deidentified={
            "identifiers masked in what was heard": sum(one.reason == MASKED for one in changes),
            "pictures": row.reason or "the manifest notes nothing that was painted over",
        },
        words_corrected=sum(one.reason != MASKED for one in changes),
        sentences_refused=sum(one.kind is Refused.SENTENCE for one in refused),
        ingest_recipe=row.recipe,
        finished_at=row.finished_at,
    )


def _samples(corpus: Path, row: VideoRow, second: float) -> tuple[Link, tuple[str, ...]]:
    """Every sample that holds the second, its shard read whole and compared with the index."""
    try:
        reader = ShardReader(corpus)
    except ValueError as error:
        return broken("samples", str(error)), ()
    own = [entry.key for level in Level for entry in reader.entries(level) if entry.video_id == row.video_id]
    spans = {key: reader.facts(key) for key in own}
    keys = tuple(key for key, facts in spans.items() if facts["start_seconds"] <= second <= facts["end_seconds"])
    if not keys:
        return broken("samples", f"{corpus} holds no sample of {row.video_id} at {second:g} s"), ()
    try:
        for key in {reader.shard_of(key): key for key in keys}.values():
            reader.verify_shard_of(key)
        rows = [_sample(reader, key, row.sha256) for key in keys]
    except ValueError as error:
        return broken("samples", str(error), keys=list(keys)), keys
    finally:
        reader.close()
    return holds("samples", corpus_fingerprint=reader.fingerprint, samples=rows), keys


def _sample(reader: ShardReader, key: str, sha256: str) -> dict[str, Any]:
    sample, place = reader.read(key), reader.place_of(key)
    if sample.source_sha256 != sha256:
        where = f"{reader.shard_of(key)}, sample {key}"
        told = f"made from SHA-256 {sample.source_sha256}, the manifest says {sha256}"
        raise ValueError(f"{where}: {told}; run `ophclip ingest` again")
    content = hashlib.sha256(b"".join(sample.jpegs) + sample.text.encode()).hexdigest()
    return {
        "key": key,
        "level": sample.level.value,
        "start_seconds": sample.start_seconds,
        "end_seconds": sample.end_seconds,
        "text": sample.text,
        "pictures": len(sample.jpegs),
        "shard": reader.shard_of(key),
        "shard_sha256": place.shard.sha256,
        "frames_offset": place.frames_offset,
        "json_offset": place.json_offset,
        "content_sha256": content,
    }


def _overlaps(record: Any, start_seconds: float, end_seconds: float) -> bool:
    return bool(record.start_seconds < end_seconds and record.end_seconds > start_seconds)


def _span(record: Any) -> dict[str, float]:
    return {"start_seconds": record.start_seconds, "end_seconds": record.end_seconds}
