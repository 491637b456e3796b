"""What trainings keep of a video: its name in their records, its rows in the knowledge banks of their checkpoints.

What the weights learned from it stays in them; which weights those are is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest import atomic
from ingest.shards import ShardReader, sha256_of
from ophclip.models.description import WEIGHTS_NAME
from ophclip.models.training_record import RECORD_NAME, TrainingRecord, read_training_record
from ophclip.purging.plan import BankRows, Seen
from ophclip.training.run_folder import NOT_FINITE_NAME, RunFolder


def recorded(folder: Path) -> Iterator[tuple[Path, TrainingRecord]]:
    """Every record of a training in a run or bundle folder, and where it lies."""
    for path in sorted(folder.rglob(RECORD_NAME)):
        record = read_training_record(path.parent)
        assert record is not None
        yield path.parent, record


def names_in(record: TrainingRecord, video_ids: Collection[str], contents: Collection[str]) -> tuple[str, ...]:
    """The names under which a training knew the video: its ids, and those of the same bytes."""
    return tuple(name for name, sha256 in record.videos.items() if name in video_ids or sha256 in contents)


def seen_in(folder: Path, record: TrainingRecord) -> Seen:
    """What is said of a folder whose training may have drawn the video."""
    weights = folder / WEIGHTS_NAME
    return Seen(
        folder=str(folder),
        corpus_fingerprint=record.corpus,
        weights_sha256=sha256_of(weights) if weights.is_file() else "",
        checkpoints=tuple(path.name for path in _checkpoints(folder)),
    )


def bank_rows(folder: Path, corpus: Path | None, video_ids: Collection[str]) -> Iterator[BankRows]:
    """The rows of the video in the checkpoints of a run that saw it.

    Rows have no names; their order is that of the silent videos of the corpus. Where that is not here, or is another by
    now, the whole bank counts.
    """
    if not (checkpoints := _checkpoints(folder)):
        return
    places = _places(RunFolder(folder).begun(), corpus, video_ids)
    if places is not None and not places:
        return
    from ophclip.training.checkpoints import read_checkpoint

    for path in checkpoints:
        bank = read_checkpoint(path).bank
        if bank and len(bank["title_nd"]):
            yield BankRows(checkpoint=str(path), rows=len(bank["title_nd"]), places=places or ())


def remove_bank_rows(found: BankRows) -> None:
    """Write a checkpoint anew without these rows, or with an empty bank; once is enough."""
    from ophclip.training.checkpoints import read_checkpoint, write_checkpoint
    from retrieval_index.bank import KnowledgeBank

    path = Path(found.checkpoint)
    if not path.is_file():
        return
    checkpoint = read_checkpoint(path)
    rows, dim = checkpoint.bank["title_nd"].shape
    names = [str(place) for place in range(rows)]
    bank = KnowledgeBank(dim, names)
    if found.places:
        if rows != found.rows:
            return
        # Lists and links of an approximate search are made again when they are missed.
        bank.load_state_dict({name: rows for name, rows in checkpoint.bank.items() if "." not in name})
        bank.remove(str(place) for place in found.places)
    write_checkpoint(path.parent, replace(checkpoint, bank=bank.state_dict()))


def rename_in_record(folder: Path, video_ids: Collection[str], contents: Collection[str]) -> None:
    """Put the beginning of the content's hash in the place of the video's name: that it was seen stays known."""
    record = read_training_record(folder)
    if record is None:
        return
    names = names_in(record, video_ids, contents)
    videos = {
        _pseudonym(sha256, number) if name in names else name: sha256
        for number, (name, sha256) in enumerate(record.videos.items())
    }
    if names:
        atomic.write_json(folder / RECORD_NAME, replace(record, videos=videos).to_json())


def remove_reports(folder: Path, video_ids: Sequence[str]) -> None:
    """Drop what a run noted of a step that failed, if it names the video."""
    path = folder / NOT_FINITE_NAME
    if path.is_file() and any(video_id in path.read_text(encoding="utf-8") for video_id in video_ids):
        path.unlink()


def _pseudonym(sha256: str, number: int) -> str:
    return f"purged-{sha256[:12] or number}"


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*.pt"))


def _places(begun: Mapping[str, Any], corpus: Path | None, video_ids: Collection[str]) -> tuple[int, ...] | None:
    """Places of the video in the bank, none for one that is not silent; None where they cannot be told."""
    if corpus is None:
        return None
    try:
        reader = ShardReader(corpus)
    except ValueError:
        return None
    if reader.fingerprint != begun["corpus"]:
        return None
    from ophclip.data.corpus import titled_videos

    silent = titled_videos(reader, begun["config"]["data"]["silent_share"]).silent
    return tuple(place for place, name in enumerate(silent) if name in video_ids)
