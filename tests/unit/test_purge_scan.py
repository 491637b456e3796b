"""The scan that says that nothing is left: what it finds, and what it does not take for the video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_corpus import picture

from ingest.shards import encode_jpeg
from ophclip.purging.scan import leftovers, piece_of

SENTENCE = "we open the “bag” — für immer"


def _found(folder: Path, *, pictures: tuple[bytes, ...] = (), skipped: tuple[Path, ...] = ()) -> dict[str, str]:
    found = leftovers([folder, folder], ["case1"], [SENTENCE], pictures, skipped=skipped)
    return {one.path.name: one.what for one in found}


@pytest.mark.parametrize(
    "text",
    ["case1", "a/case1.mp4", "case1/0123", '"case1"', "case1-00004000", "case1-00004000.json", "case1-phase-00000000"],
)
def test_an_id_is_found_wherever_it_stands_as_a_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.bin").write_bytes(b"\xff\x00" + text.encode() + b"\x00")
    assert _found(tmp_path) == {"f.bin": "its id"}


@pytest.mark.parametrize("text", ["case10", "case1_b", "mycase1", "case1-2b3c4d5e", "the-case1", "case1-000040001"])
def test_a_longer_id_is_another_video(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.bin").write_text(text)
    assert _found(tmp_path) == {}


def test_sentences_pictures_and_names_are_found_and_what_is_skipped_is_not(tmp_path: Path) -> None:
    jpeg = picture(5)
    (tmp_path / "utf8").write_bytes(b"..." + SENTENCE.encode())
    (tmp_path / "escaped").write_text('{"a": "we open the \\u201cbag\\u201d \\u2014 f\\u00fcr immer"}')
    (tmp_path / "picture").write_bytes(b"\x00" * 9000 + jpeg)
    (tmp_path / "another").write_bytes(picture(6))
    (tmp_path / "empty").touch()
    (tmp_path / "case1.txt").touch()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "skipped").write_text("case1")
    said = "what was said or written of it"
    assert piece_of(jpeg) in jpeg
    found = _found(tmp_path, pictures=(piece_of(jpeg),), skipped=(tmp_path / "results",))
    assert found == {"utf8": said, "escaped": said, "picture": "a picture of it", "case1.txt": "its name"}


def test_a_picture_that_is_too_plain_is_not_told_apart() -> None:
    assert piece_of(encode_jpeg(np.full((90, 160, 3), 17, dtype=np.uint8))) == b""
    assert piece_of(b"") == b""
