"""`ophclip index`: videos in, an index folder out. Run again, it adds what is new and nothing else.

INDEX/catalogue.sqlite   videos, attributes, spans, pictures, vectors: the truth, one transaction a video
INDEX/windows/  INDEX/clips/  INDEX/videos/   spans and vectors as a search reads them, made from it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.disk import holding
from ingest.ledger import purged_contents
from ophclip.config import IndexConfig
from ophclip.evaluation.receipts import relative
from ophclip.models.description import Description, read_description
from ophclip.progress import Progress
from ophclip.search.catalogue import CATALOGUE_NAME, FORMAT, Catalogue
from ophclip.search.entries import Level
from ophclip.search.sources import SourceVideo, find_sources, require_sources
from ophclip.search.vectors import save_tables

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded

_BATCH = "batch_frames"
_CUT_BY = ("window_seconds", "stride_seconds", "fps")
"""What all windows of an index have in common."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSummary:
    """What a run of `build_index` did."""

    folder: Path
    videos: int
    windows: int
    clips: int
    added: int
    unchanged: int
    failed: tuple[tuple[Path, str], ...]
    """Files that could not be indexed, with the reason in one line; the others are unharmed."""


def build_index(
    bundle: Path,
    out: Path,
    *,
    corpus: Path | None = None,
    videos: Path | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
) -> IndexSummary:
    """Index every window and clip of every video of a corpus, of a folder, or of both.

    Raises:
        ValueError: nothing to index, nothing that could be indexed, or `out` is an index of other weights or windows.
    """
    config = config or IndexConfig()
    require_sources(corpus, videos)
    about = _about(read_description(bundle), bundle, out, config)
    _refuse_other(out, about)
    found = find_sources(corpus, videos)
    # What was given is as it should be: now torch may take its time.
    from ophclip.evaluation.embedding import default_device
    from ophclip.models.bundle import load_bundle

    loaded = load_bundle(bundle, device=default_device())
    with adding(out), Catalogue.create(out / CATALOGUE_NAME, about) as catalogue:
        return _fill(catalogue, *found, loaded=loaded, config=config, corpus=corpus, progress=progress)


def add_to_index(
    folder: Path,
    loaded: Loaded,
    *,
    corpus: Path | None = None,
    videos: Path | None = None,
    progress: Progress | None = None,
) -> IndexSummary:
    """Add what is new to the index in `folder`, cut as it was, with the bundle that made it.

    Raises:
        ValueError: nothing to index, or nothing that could be indexed.
    """
    found = find_sources(corpus, videos)
    with adding(_existing(folder).parent), Catalogue.create(folder / CATALOGUE_NAME, {}) as catalogue:
        config = _config(catalogue.about)
        return _fill(catalogue, *found, loaded=loaded, config=config, corpus=corpus, progress=progress)


def remove_video(folder: Path, video_id: str) -> bool:
    """Drop a video from the index in `folder`: records, pictures, vectors; False if it was not there.

    Raises:
        ValueError: there is no index.
    """
    with Catalogue.create(_existing(folder), {}) as catalogue:
        gone = catalogue.remove(video_id)
        save_tables(catalogue, folder)
    return gone


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the index in `folder` against runs that add to it: what they add may be the video that is to go.

    Raises:
        ValueError: there is one.
    """
    told = f"{folder}: something is adding to this index: wait until it has ended, then run the same command again"
    with holding(folder, told):
        yield


@contextmanager
def adding(folder: Path) -> Iterator[None]:
    """Hold it against purges; others may add at the same time.

    Raises:
        ValueError: there is one.
    """
    told = f"{folder}: a purge is taking a video out of it: wait until it has ended, then run the same command again"
    with holding(folder, told, shared=True):
        yield


def _existing(folder: Path) -> Path:
    path = folder / CATALOGUE_NAME
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected an index; make one with `ophclip index`")
    return path


def _fill(
    catalogue: Catalogue,
    sources: list[SourceVideo],
    failed: list[tuple[Path, str]],
    *,
    loaded: Loaded,
    config: IndexConfig,
    corpus: Path | None,
    progress: Progress | None,
) -> IndexSummary:
    from ophclip.search.add import add_video

    out = catalogue.path.parent
    if corpus is not None:
        catalogue.note_corpus(relative(corpus, out))
    known = catalogue.videos()
    purged = purged_contents([out, *([corpus] if corpus is not None else [])])
    added = 0
    for done, source in enumerate(sources):
        if progress is not None:
            progress(done, len(sources), source.path.name)
        try:
            if source.sha256 in purged:
                raise ValueError(purged[source.sha256])
            added += add_video(catalogue, known.get(source.video_id), source, out, loaded=loaded, config=config)
        except (OSError, ValueError) as error:
            failed.append((source.path, str(error)))
    if progress is not None:
        progress(len(sources), len(sources), "")
    held = len(catalogue.videos())
    if not held:
        raise ValueError(f"{failed[0][1]} (none of {len(failed)} files could be indexed)")
    save_tables(catalogue, out)
    unchanged = len(sources) - added - sum(path in {source.path for source in sources} for path, _ in failed)
    return IndexSummary(
        folder=out,
        videos=held,
        windows=catalogue.count(Level.WINDOW),
        clips=catalogue.count(Level.CLIP),
        added=added,
        unchanged=unchanged,
        failed=tuple(failed),
    )


def _about(described: Description, bundle: Path, out: Path, config: IndexConfig) -> dict[str, str]:
    return {
        "format": FORMAT,
        "weights_sha256": described.weights_sha256,
        "bundle": relative(bundle, out),
        "model": described.config.name,
        "dim": str(described.config.embed_dim),
        **{key: f"{value:g}" for key, value in asdict(config).items() if key != _BATCH},
    }


def _config(about: Mapping[str, str]) -> IndexConfig:
    """The options that an index was made with."""
    return IndexConfig(
        window_seconds=float(about["window_seconds"]),
        stride_seconds=float(about["stride_seconds"]),
        fps=float(about["fps"]),
        thumbnail_width_px=int(about["thumbnail_width_px"]),
    )


def _refuse_other(out: Path, about: Mapping[str, str]) -> None:
    """See that `out` can be written, and that an index in it was made by the same weights and windows."""
    if not (out / CATALOGUE_NAME).is_file():
        out.mkdir(parents=True, exist_ok=True)
        return
    with Catalogue.create(out / CATALOGUE_NAME, about) as catalogue:
        held = catalogue.about
    made, given = held.get("weights_sha256", ""), about["weights_sha256"]
    if made != given:
        raise ValueError(
            f"{out}: made by weights {made[:12]}, this bundle has {given[:12]}; give another --out or remove it"
        )
    for key in _CUT_BY:
        if held.get(key) != about[key]:
            found = held.get(key)
            raise ValueError(f"{out}: made with {key} {found}, asked for {about[key]}; give another --out or remove it")
