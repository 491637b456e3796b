"""The same recording is found however it was copied; different operations that look alike are not joined."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures.duplicates import against, near_duplicates
from ingest.pictures.fingerprint import Fingerprint, fingerprint, mirrored_phash, phash
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


@pytest.fixture(scope="module")
def videos() -> list[Video]:
    return [filmed(index) for index in range(5)]


COPIES: dict[str, Callable[[Video], Video]] = {
    "same": lambda video: video,
    "recoded": lambda video: changed(video, recoded),
    "mirrored": lambda video: changed(video, lambda pixels: np.ascontiguousarray(pixels[:, ::-1])),
    "trimmed": lambda video: [(second - 6.0, pixels) for second, pixels in video[6:]],
    "cropped a little": lambda video: changed(video, lambda pixels: pixels[2:-2, 3:-3].copy()),
}


@pytest.mark.parametrize("how", sorted(COPIES))
def test_a_copy_is_found_and_nothing_else(how: str, videos: list[Video]) -> None:
    references = {f"v{place}": fingerprint(video) for place, video in enumerate(videos)}
    copies = {f"c{place}": fingerprint(COPIES[how](video)) for place, video in enumerate(videos)}
    found = {match.video_id: match.of for match in against(copies, references, DuplicatesConfig())}
    assert found == {f"c{place}": f"v{place}" for place in range(len(videos))}


def test_operations_that_look_alike_are_kept(videos: list[Video]) -> None:
    assert near_duplicates({str(p): fingerprint(v) for p, v in enumerate(videos)}, DuplicatesConfig()) == ()


def test_the_mirrored_hash_is_the_hash_of_the_mirrored_picture(videos: list[Video]) -> None:
    for _second, pixels in videos[0]:
        turned = phash(np.ascontiguousarray(pixels[:, ::-1]))
        assert bin(turned ^ mirrored_phash(pixels)).count("1") <= 2


def test_a_fingerprint_survives_its_bytes(videos: list[Video]) -> None:
    mark = fingerprint(videos[0])
    again = Fingerprint.from_bytes(mark.to_bytes())
    assert all(np.array_equal(getattr(mark, name), getattr(again, name)) for name in ("seconds", "hashes", "mirrored"))
    with pytest.raises(ValueError, match="fingerprint"):
        Fingerprint.from_bytes(mark.to_bytes()[:-1])
