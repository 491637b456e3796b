"""`ophclip purge`: one video out of corpus, indices, caches and trainings' records, with a record without content.

The intent is written first and the record last; in between every step can be done again, so that a purge that was
killed at any point is completed by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ingest.disk import writable
from ingest.ledger import INTENT_NAME, LEDGER_NAME, append_record, read_ledger
from ingest.pack import SHARDS
from ingest.removal import remove_held
from ingest.shards import INDEX_NAME, ShardReader
from ophclip.progress import Progress
from ophclip.purging.plan import Folders, Plan, read_plan
from ophclip.purging.planning import make_plan
from ophclip.purging.record import facts_of, hashed_id
from ophclip.purging.scan import leftovers
from ophclip.purging.trainings import remove_bank_rows, remove_reports, rename_in_record
from ophclip.search.build import changing, take_out

_MOST_SHOWN = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Purged:
    """What came of it."""

    plan: Plan
    record: Path
    sha256: str
    """Of the record's line: kept elsewhere, it proves that no later line was cut off."""


def plan_purge(video_id: str, folders: Folders, *, by: str, reason: str) -> Plan:
    """What `purge` would do; a purge that was begun is gone on with as it was begun. Nothing is changed.

    Raises:
        ValueError: nobody signs it off, a folder is not what it should be, or none of them knows the video.
    """
    _require_signed(video_id, folders, by, reason)
    begun = read_plan(folders.home)
    if begun is not None:
        _require_same(begun, video_id, folders)
        return begun
    plan = make_plan(video_id, folders, by=by, reason=reason)
    if plan is not None:
        return plan
    for line in read_ledger(folders.home):
        if line["video_id_scrypt"] == hashed_id(video_id, line["purge"]):
            told = f"purged on {line['when'][:10]}, signed off by {line['signed_off_by']}"
            raise ValueError(f"--video: {video_id} was {told}, and nothing of it is in the folders that were named")
    places = ", ".join((*folders.cleaned, *folders.results))
    raise ValueError(f"--video: {video_id} is not in {places}: give its id as `ophclip ingest export` lists it")


def purge(plan: Plan, progress: Progress | None = None) -> Purged:
    """Do what was planned.

    Raises:
        ValueError: a part is damaged or in use, or something of the video is left where it should not be; what was done
            is kept, and the same command goes on.
    """
    home, corpus = plan.folders.home, Path(plan.folders.corpus) if plan.folders.corpus else None
    with ExitStack() as held:
        if corpus is not None:
            held.enter_context(writable(corpus, "ingest"))
        for index in map(Path, plan.folders.indices):
            held.enter_context(changing(index))
        read_ledger(home)
        plan.write()
        for number, (what, step) in enumerate(steps := list(_steps(plan, corpus))):
            if progress is not None:
                progress(number, len(steps), what)
            step()
        _require_gone(plan)
        facts = facts_of(plan, _fingerprint(corpus))
        for index in map(Path, plan.folders.indices):
            append_record(index, facts)
        digest = append_record(home, facts)
        (home / INTENT_NAME).unlink()
    return Purged(plan=plan, record=home / LEDGER_NAME, sha256=digest)


def _steps(plan: Plan, corpus: Path | None) -> Iterator[tuple[str, Callable[[], None]]]:
    """What is done, and what it is called; each of it may be done again."""
    if corpus is not None and plan.held is not None:
        yield str(corpus), partial(remove_held, corpus, plan.held)
    for folder in plan.folders.indices:  # also those that it came into since the plan was made
        yield folder, partial(_remove_from_index, Path(folder), plan.video_ids)
    for name in plan.cached:
        yield name, partial(Path(name).unlink, missing_ok=True)
    for rows in plan.bank_rows:
        yield rows.checkpoint, partial(remove_bank_rows, rows)
    for name in plan.records:
        yield name, partial(rename_in_record, Path(name), plan.video_ids, plan.contents)
        yield name, partial(remove_reports, Path(name), plan.video_ids)


def _remove_from_index(folder: Path, video_ids: Sequence[str]) -> None:
    for video_id in video_ids:
        take_out(folder, video_id)


def _require_gone(plan: Plan) -> None:
    """See that nothing is left in what was cleaned."""
    found = list(
        leftovers(
            map(Path, plan.folders.cleaned),
            plan.video_ids,
            plan.texts,
            [bytes.fromhex(piece) for piece in plan.pictures],
            skipped=(plan.folders.home / INTENT_NAME, *map(Path, plan.folders.results)),
        )
    )
    if found:
        shown = ", ".join(f"{one.path} ({one.what})" for one in found[:_MOST_SHOWN])
        more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        raise ValueError(f"purge: still there: {shown}{more}; remove what is yours, then run the same command again")


def _fingerprint(corpus: Path | None) -> str:
    if corpus is None or not (corpus / SHARDS / INDEX_NAME).is_file():
        return ""
    return ShardReader(corpus / SHARDS).fingerprint


def _require_signed(video_id: str, folders: Folders, by: str, reason: str) -> None:
    if not folders.corpus and not folders.indices:
        raise ValueError("purge: give --corpus or --index: the record is kept there")
    for option, text in (("--video", video_id), ("--signed-off-by", by), ("--reason", reason)):
        if not text.strip():
            raise ValueError(f"{option}: empty; the record says who answers for a purge, and why")
    if video_id in by or video_id in reason:
        raise ValueError(f"--reason: the record must not name {video_id}; say it without the id")
    for folder in (*folders.cleaned, *folders.results):
        if not Path(folder).is_dir():
            raise ValueError(f"{folder}: no such folder; name the folders that the video may be in")


def _require_same(begun: Plan, video_id: str, folders: Folders) -> None:
    place = folders.home / INTENT_NAME
    if begun.video_id != video_id:
        raise ValueError(f"{place}: the purge of {begun.video_id} has not ended; run it again before another one")
    if begun.folders != folders:
        places = ", ".join((*begun.folders.cleaned, *begun.folders.results))
        raise ValueError(f"{place}: this purge was begun with other folders; run it again with {places}")
