"""The same recording is found however it was copied; different operations that look alike are not joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from filming import numbered_picture
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures.duplicates import against, near_duplicates
from ingest.pictures.fingerprint import (
    LITE,
    Fingerprint,
    Marks,
    build_embedder,
    fingerprint,
    marking,
    mirrored,
    window_hashes,
)
from ophclip.simulate.config import Site
from ophclip.simulate.draw import stream
from ophclip.simulate.language import Procedure
from ophclip.simulate.planning import plan
from ophclip.simulate.scene import Scene

Video = list[tuple[float, NDArray[np.uint8]]]


def filmed(index: int, seconds: int = 20) -> Video:
    scene = Scene(plan(0, Site.A, "silent", index, procedure=Procedure.PHACO, pace=1.0), stream(index, "t"), 160, 120)
    return [(float(second), scene.render(20.0 + second)) for second in range(seconds)]


def changed(video: Video, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Video:
    return [(second, change(pixels)) for second, pixels in video]


def recoded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    data = cv2.imencode(".jpg", cv2.resize(pixels, (120, 90)), [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def coded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As large as before, with what coding usually leaves."""
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def cut(pixels: NDArray[np.uint8], top: float, bottom: float, left: float, right: float) -> NDArray[np.uint8]:
    """What is left of a picture when these shares of its sides are cut off."""
    height, width = pixels.shape[:2]
    rows = slice(round(top * height), height - round(bottom * height))
    return pixels[rows, round(left * width) : width - round(right * width)].copy()


@pytest.fixture(scope="module")
def videos() -> list[Video]:
    return [filmed(index) for index in range(5)]


COPIES: dict[str, Callable[[Video], Video]] = {
    "same": lambda video: video,
    "recoded": lambda video: changed(video, recoded),
    "mirrored": lambda video: changed(video, lambda pixels: np.ascontiguousarray(pixels[:, ::-1])),
    "trimmed": lambda video: [(second - 6.0, pixels) for second, pixels in video[6:]],
    "cropped at the edges": lambda video: changed(video, lambda pixels: recoded(cut(pixels, 0.03, 0.03, 0.03, 0.03))),
    "cropped off the centre": lambda video: changed(video, lambda pixels: recoded(cut(pixels, 0.13, 0.02, 0.07, 0.1))),
    "cropped to a square": lambda video: changed(video, lambda pixels: recoded(cut(pixels, 0.0, 0.0, 0.2, 0.2))),
    "without its black bars": lambda video: changed(video, lambda pixels: recoded(cut(pixels, 0.12, 0.12, 0.0, 0.0))),
    "cropped, mirrored and trimmed": lambda video: [
        (second - 6.0, recoded(cut(pixels, 0.06, 0.09, 0.0, 0.12)[:, ::-1])) for second, pixels in video[6:]
    ],
}


@pytest.mark.parametrize("how", sorted(COPIES))
def test_a_copy_is_found_and_nothing_else(how: str, videos: list[Video]) -> None:
    references = {f"v{place}": fingerprint(video) for place, video in enumerate(videos)}
    copies = {f"c{place}": fingerprint(COPIES[how](video)) for place, video in enumerate(videos)}
    found = {match.video_id: match.of for match in against(copies, references, DuplicatesConfig())}
    assert found == {f"c{place}": f"v{place}" for place in range(len(videos))}


def test_operations_that_look_alike_are_kept(videos: list[Video]) -> None:
    assert near_duplicates({str(p): fingerprint(v) for p, v in enumerate(videos)}, DuplicatesConfig()) == ()


def test_who_crops_whom_makes_no_difference(videos: list[Video]) -> None:
    whole = fingerprint(videos[0])
    part = fingerprint(changed(videos[0], lambda pixels: cut(pixels, 0.1, 0.0, 0.05, 0.15)))
    for first, second in ((whole, part), (part, whole)):
        (match,) = near_duplicates({"a": first, "b": second}, DuplicatesConfig())
        assert (match.video_id, match.of) == ("b", "a")
        assert match.why == "same, cropped, shifted by +0.0 s"


def test_a_chain_of_copies_leaves_its_first(videos: list[Video]) -> None:
    first, other = (fingerprint(video) for video in videos[:2])
    turned = fingerprint(COPIES["mirrored"](videos[0]))
    found = near_duplicates({"a": first, "b": other, "c": turned, "d": first}, DuplicatesConfig())
    assert {match.video_id: match.of for match in found} == {"c": "a", "d": "a"}


def test_the_mirrored_hash_is_the_hash_of_the_mirrored_picture(videos: list[Video]) -> None:
    there = fingerprint(videos[0]).hashes()
    back = fingerprint(COPIES["mirrored"](videos[0])).hashes()
    assert int(np.bitwise_count(mirrored(there) ^ back).max()) <= 2


def test_the_hash_of_a_window_is_that_of_the_cropped_picture(videos: list[Video]) -> None:
    margins = [(0.0, 0.0), (0.1, 0.05), (0.15, 0.15)]
    asked = window_hashes(fingerprint(videos[0]).spectra, margins, margins)
    assert np.array_equal(asked[:, 0, 0], fingerprint(videos[0]).hashes())
    for v, (top, bottom) in enumerate(margins):
        for h, (left, right) in enumerate(margins):
            really = [(second, cut(pixels, top, bottom, left, right)) for second, pixels in videos[0]]
            differing = np.bitwise_count(asked[:, v, h] ^ fingerprint(really).hashes())
            assert float(np.median(differing)) <= 3.0, (v, h)


def test_a_glance_at_a_picture_hashes_as_the_picture_does_even_if_nothing_changes_along_an_axis(
    videos: list[Video],
) -> None:
    bars = [numbered_picture(number) for number in range(1, 256, 10)]
    for pixels in (*bars, *(bar.transpose(1, 0, 2) for bar in bars), *(pixels for _, pixels in videos[0])):
        small = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA)
        marks = Marks()
        marks.add(0.0, pixels)
        marks.glance(0.0, cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        mark = marks.finish()
        assert np.array_equal(mark.glance_hashes, mark.hashes())


def test_light_and_contrast_change_few_bits(videos: list[Video]) -> None:
    dim = fingerprint(changed(videos[0], lambda pixels: (pixels * 0.6 + 30.0).astype(np.uint8)))
    assert int(np.bitwise_count(fingerprint(videos[0]).hashes() ^ dim.hashes()).max()) <= 4


def test_a_fingerprint_survives_its_bytes(videos: list[Video]) -> None:
    mark = fingerprint(videos[0], Colours())
    again = Fingerprint.from_bytes(mark.to_bytes())
    assert all(np.array_equal(getattr(mark, name), getattr(again, name)) for name in ("seconds", "spectra", "vectors"))
    with pytest.raises(ValueError, match="fingerprint"):
        Fingerprint.from_bytes(mark.to_bytes()[:-1])


class Colours:
    """Vectors that know which colours a picture has, not where."""

    def embed(self, pixels_thwc: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        counts = [
            np.sqrt(np.histogramdd(pixels.reshape(-1, 3), 12, [(0, 256)] * 3)[0].ravel()) for pixels in pixels_thwc
        ]
        return np.stack([one / np.linalg.norm(one) for one in counts]).astype(np.float32)


def test_vectors_find_a_copy_that_hashes_miss() -> None:
    config = DuplicatesConfig(min_similarity=0.99)
    one, other = (filmed(index, 42) for index in range(2))  # changes are compared from 40 s on
    quarter = changed(one, lambda pixels: np.ascontiguousarray(np.rot90(pixels)))
    seen = {"a": one, "b": other, "c": quarter}
    assert near_duplicates({name: fingerprint(video) for name, video in seen.items()}, config) == ()
    (match,) = near_duplicates({name: fingerprint(video, Colours()) for name, video in seen.items()}, config)
    assert (match.video_id, match.of, match.score) == ("c", "a", 1.0)
    assert match.why == "alike to the model, shifted by +0.0 s"
    mixed = {"a": fingerprint(one, Colours()), "c": fingerprint(quarter)}
    assert near_duplicates(mixed, config) == (), "a fingerprint without vectors has no say"


def turned(pixels: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(pixels, turn, (width, height)), np.uint8)


def written_over(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    written = pixels.copy()
    cv2.rectangle(written, (0, 96), (159, 119), (240, 240, 240), -1)
    cv2.putText(written, "CASE 3", (8, 114), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 90), 2)
    return written


@pytest.mark.slow
def test_a_copy_turned_or_written_over_is_found_and_no_other_operation() -> None:
    """With the real weights of EfficientNet-Lite0: by its vectors alone, and what is turned a little without them."""
    by_model, by_changes = DuplicatesConfig(model=LITE), DuplicatesConfig(changes=True)
    embedder = build_embedder(by_model)
    operations = {f"v{index}": densely(index) for index in range(3)}
    first = operations["v0"]
    copies = {
        "turned by 7 degrees": changed(first, lambda pixels: recoded(turned(pixels, 7.0))),
        "turned by 180 degrees": changed(first, lambda pixels: recoded(turned(pixels, 180.0))),
        "written over": changed(first, lambda pixels: coded(written_over(pixels))),  # 53 % agree if made smaller too
    }
    references = {name: fingerprint(video, embedder) for name, video in operations.items()}
    assert near_duplicates(references, DuplicatesConfig(model=LITE, changes=True)) == ()
    for how, copy in copies.items():
        copied = {"c": fingerprint(copy, embedder)}
        (found,) = against(copied, references, by_model)
        assert (found.of, found.why.partition(",")[0]) == ("v0", "alike to the model"), how
        if how == "turned by 7 degrees":
            plain = {name: replace(mark, vectors=np.zeros((0, 0), np.float16)) for name, mark in references.items()}
            assert against(copied, plain, DuplicatesConfig()) == ()
            (found,) = against(copied, plain, by_changes)
            assert (found.of, found.why.partition(",")[0]) == ("v0", "changes alike")


def densely(index: int) -> Video:
    """45 s of a simulated operation, two pictures a second."""
    scene = Scene(plan(0, Site.A, "silent", index, procedure=Procedure.PHACO, pace=1.0), stream(index, "t"), 160, 120)
    return [(half / 2, scene.render(20.0 + half / 2)) for half in range(90)]


def test_another_model_makes_other_fingerprints() -> None:
    assert marking(DuplicatesConfig()) != marking(DuplicatesConfig(model="folder"))
    with pytest.raises(ValueError, match=r"duplicates.model: 'nothing' is no open_clip architecture"):
        build_embedder(DuplicatesConfig(model="nothing"))
