"""`ophclip index`: videos in, an index folder out. Run again, it adds what is new and nothing else.

INDEX/catalogue.sqlite   videos, attributes, spans, pictures, vectors: the truth, one transaction a video
INDEX/windows/  INDEX/clips/  INDEX/videos/   spans and vectors as a search reads them, made from it
INDEX/staging/           what a run that goes on, or was cut short, has encoded and not yet joined
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.disk import writable
from ingest.ledger import purged_contents
from ophclip.config import IndexConfig
from ophclip.evaluation.receipts import relative
from ophclip.models.description import Description, read_description
from ophclip.progress import Progress
from ophclip.search.add import describe
from ophclip.search.bulk import Encoding, drop_staged, encode_into
from ophclip.search.catalogue import CATALOGUE_NAME, FORMAT, Catalogue
from ophclip.search.entries import Level
from ophclip.search.sources import SourceVideo, find_sources, require_sources
from ophclip.search.vectors import save_tables

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded

_PATIENCE_SECONDS = 60.0
"""How long another run is waited for."""
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
    described = read_description(bundle)
    about = _about(described, bundle, out, config)
    _refuse_other(out, about)
    found = find_sources(corpus, videos)
    encoding = Encoding(bundle=bundle.absolute(), weights_sha256=described.weights_sha256, config=config)
    with changing(out), Catalogue.create(out / CATALOGUE_NAME, about) as catalogue:
        return _fill(catalogue, *found, encoding=encoding, corpus=corpus, progress=progress or _quiet)


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
    with changing(_existing(folder)), Catalogue.create(folder / CATALOGUE_NAME, {}) as catalogue:
        config = _config(catalogue.about)
        encoding = Encoding(bundle=loaded, weights_sha256=loaded.weights_sha256, config=config)
        return _fill(catalogue, *found, encoding=encoding, corpus=corpus, progress=progress or _quiet)


def remove_video(folder: Path, video_id: str) -> bool:
    """Drop a video from the index in `folder`: records, pictures, vectors, and all that an unfinished run staged.

    False if it was not there.

    Raises:
        ValueError: there is no index.
    """
    with changing(_existing(folder)):
        return take_out(folder, video_id)


def take_out(folder: Path, video_id: str) -> bool:
    """As `remove_video`, for who is `changing` the index already."""
    with Catalogue.create(_existing(folder) / CATALOGUE_NAME, {}) as catalogue:
        drop_staged(folder)
        gone = catalogue.remove(video_id)
        save_tables(catalogue, folder)
    return gone


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the index in `folder` against all others that change it: what one adds may be what another takes out.

    Raises:
        ValueError: another goes on for more than a minute, or the folder cannot be written.
    """
    with writable(folder, "run", patience_seconds=_PATIENCE_SECONDS):
        yield


def _existing(folder: Path) -> Path:
    path = folder / CATALOGUE_NAME
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected an index; make one with `ophclip index`")
    return folder


def _quiet(_done: int, _total: int, _message: str) -> None:
    return


def _fill(
    catalogue: Catalogue,
    sources: list[SourceVideo],
    failed: list[tuple[Path, str]],
    *,
    encoding: Encoding,
    corpus: Path | None,
    progress: Progress,
) -> IndexSummary:
    out, config = catalogue.path.parent, encoding.config
    if corpus is not None:
        catalogue.note_corpus(relative(corpus, out))
    known = catalogue.videos()
    purged = purged_contents([out, *([corpus] if corpus is not None else [])])
    failed += [(one.path, purged[one.sha256]) for one in sources if one.sha256 in purged]
    allowed = [one for one in sources if one.sha256 not in purged]
    new = [one for one in allowed if not describe(catalogue, known.get(one.video_id), one, out, config)]
    unchanged = len(allowed) - len(new)
    begun = len(sources) - len(new)
    added, refused = encode_into(
        catalogue, new, encoding, lambda done, _total, message: progress(begun + done, len(sources), message)
    )
    failed += refused
    held = len(catalogue.videos())
    if not config.slurm.dry_run:
        progress(len(sources), len(sources), "")
        if not held:
            raise ValueError(f"{failed[0][1]} (none of {len(failed)} files could be indexed)")
        save_tables(catalogue, out)
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
        **{key: f"{getattr(config, key):g}" for key in (*_CUT_BY, "thumbnail_width_px")},
    }


def _config(about: Mapping[str, str]) -> IndexConfig:
    """The options that an index was made with."""
    return IndexConfig(
        window_seconds=float(about["window_seconds"]),
        stride_seconds=float(about["stride_seconds"]),
        fps=float(about["fps"]),
        thumbnail_width_px=int(about["thumbnail_width_px"]),
        workers=1,
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
