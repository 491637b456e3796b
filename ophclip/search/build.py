"""`ophclip index`: videos in, an index folder out. Run again, it adds what is new and nothing else.

INDEX/catalogue.sqlite   videos, windows, pictures, vectors: the truth, one transaction a video
INDEX/windows/  INDEX/videos/   the same vectors for FAISS, made from it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ophclip.config import IndexConfig
from ophclip.evaluation.receipts import relative
from ophclip.models.description import Description, read_description
from ophclip.progress import Progress
from ophclip.search.catalogue import CATALOGUE_NAME, FORMAT, Catalogue
from ophclip.search.sources import find_sources, require_sources
from ophclip.search.vectors import TABLES, made_vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSummary:
    """What a run of `build_index` did."""

    folder: Path
    videos: int
    windows: int
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
    """Index every window of every video of a corpus, of a folder, or of both.

    Raises:
        ValueError: nothing to index, nothing that could be indexed, or `out` is an index of other weights or windows.
    """
    config = config or IndexConfig()
    require_sources(corpus, videos)
    about = _about(read_description(bundle), bundle, out, config)
    _refuse_other(out, about)
    sources, failed = find_sources(corpus, videos)
    # What was given is as it should be: now torch may take its time.
    from ophclip.evaluation.embedding import default_device
    from ophclip.models.bundle import load_bundle
    from ophclip.search.add import add_video

    loaded = load_bundle(bundle, device=default_device())
    with Catalogue.create(out / CATALOGUE_NAME, about) as catalogue:
        if corpus is not None:
            catalogue.note_corpus(relative(corpus, out))
        known = catalogue.videos()
        added = 0
        for done, source in enumerate(sources):
            if progress is not None:
                progress(done, len(sources), source.path.name)
            try:
                added += add_video(catalogue, known, source, out, loaded=loaded, config=config)
            except (OSError, ValueError) as error:
                failed.append((source.path, str(error)))
        if progress is not None:
            progress(len(sources), len(sources), "")
        held, windows = len(catalogue.videos()), len(catalogue.window_spans())
        if not held:
            raise ValueError(f"{failed[0][1]} (none of {len(failed)} files could be indexed)")
        for table in TABLES:
            made_vectors(catalogue, table).save(out / table)
    unchanged = len(sources) - added - sum(path in {source.path for source in sources} for path, _ in failed)
    return IndexSummary(
        folder=out, videos=held, windows=windows, added=added, unchanged=unchanged, failed=tuple(failed)
    )


def _about(described: Description, bundle: Path, out: Path, config: IndexConfig) -> dict[str, str]:
    windows = {key: f"{value:g}" for key, value in asdict(config).items() if key.endswith("seconds") or key == "fps"}
    return {
        "format": FORMAT,
        "weights_sha256": described.weights_sha256,
        "bundle": relative(bundle, out),
        "model": described.config.name,
        **windows,
    }


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
    for key in ("format", "window_seconds", "stride_seconds", "fps"):
        if held.get(key) != about[key]:
            found = held.get(key)
            raise ValueError(f"{out}: made with {key} {found}, asked for {about[key]}; give another --out or remove it")
