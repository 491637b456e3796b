"""Every route, with a real small model and index, compared with what the library says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from served_index import Asking, write_index, write_video

from ingest.shards import decode_jpeg
from ophclip.search.heat_map import heat_map
from ophclip.search.index import open_index
from ophclip.serving.app import create_app
from ophclip.serving.service import Service
from ophclip.serving_options import ServingConfig, UploadLimits

CONFIG = ServingConfig(limits=UploadLimits(decoders=1, picture_mb=1, clip_mb=2, clip_seconds=60))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    write_index(root)
    return root


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Service]:
    made = Service(place / "index", CONFIG)
    yield made
    made.close()
    assert not made.uploads.exists()


@pytest.fixture(scope="module")
def ask(service: Service) -> Asking:
    return Asking(create_app(service))


def test_a_search_by_words_is_the_librarys(place: Path, ask: Asking) -> None:
    with open_index(place / "index") as index:
        for text, instrument in (("IOL injector", "lens injector"), ("a red field", None)):
            answer = ask.post("/v1/search", json={"text": text, "k": 3})
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert found["instrument"] == instrument
            expected = index.search(text=text, k=3)
            assert [hit["hit_id"] for hit in found["hits"]] == [hit.hit_id for hit in expected]
            for hit, theirs in zip(found["hits"], expected, strict=True):
                for name in ("video_id", "title", "license", "start_seconds", "end_seconds", "peak_seconds"):
                    assert hit[name] == getattr(theirs, name)
                assert hit["score"] == pytest.approx(theirs.score, abs=1e-5)
                assert "path" not in hit


def test_a_vector_a_hit_and_filters(place: Path, ask: Asking) -> None:
    vector = ask.post("/v1/embed/text", json={"texts": ["a red field"]}).json()["vectors"][0]
    first = ask.post("/v1/search", json={"vector": vector, "k": 1}).json()["hits"][0]
    others = ask.post("/v1/search", json={"hit_id": first["hit_id"], "k": 50}).json()["hits"]
    assert others
    for hit in others:
        apart = hit["end_seconds"] <= first["start_seconds"] or hit["start_seconds"] >= first["end_seconds"]
        assert apart or hit["video_id"] != first["video_id"]
    asked = {"text": "x", "k": 50, "filters": {"attributes": {"license": ["CC0"]}}}
    assert {hit["video_id"] for hit in ask.post("/v1/search", json=asked).json()["hits"]} == {"case_001"}
    asked = {"text": "x", "k": 50, "filters": {"video_ids": ["case_002"], "narrated": False}}
    assert {hit["video_id"] for hit in ask.post("/v1/search", json=asked).json()["hits"]} == {"case_002"}
    assert ask.post("/v1/search", json={"text": "x", "filters": {"narrated": True}}).json()["hits"] == []
    assert len(ask.post("/v1/search", json={"text": "x", "group_by_video": True}).json()["hits"]) == 2
    assert ask.post("/v1/search", json={"text": "x", "min_score": 1.0}).json()["hits"] == []
    whole = ask.post("/v1/search", json={"text": "x", "level": "video"}).json()["hits"]
    assert {(hit["start_seconds"], hit["end_seconds"]) for hit in whole} == {(0.0, 12.0)}
    assert ask.post("/v1/search", json={"hit_id": whole[0]["hit_id"], "level": "video"}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({}, 422, "give exactly one of text, vector, hit_id; 0 given"),
        ({"text": "x", "vector": [1.0]}, 422, "2 given"),
        ({"text": " \n "}, 422, "give some words"),
        ({"text": "x" * 1001}, 422, "text"),
        ({"text": "x", "k": 0}, 422, "k"),
        ({"text": "x", "k": 10_000}, 422, "k"),
        ({"text": "x", "level": "frame"}, 422, "level"),
        ({"text": "x", "colour": "red"}, 422, "colour"),
        ({"vector": [1.0, 2.0]}, 422, "expected 32 finite numbers"),
        ({"vector": [0.0] * 32}, 422, "all zeros"),
        ({"vector": [1e300] * 32}, 422, "vector"),
        ({"vector": ["a"] * 32}, 422, "vector"),
        ({"text": "x", "filters": {"attributes": {"colour": ["red"]}}}, 422, "no attribute 'colour'"),
        ({"text": "x", "filters": {"attributes": {"license": ["none"]}}}, 422, "there is CC0"),
        ({"text": "x", "filters": {"video_ids": ["case_009"]}}, 422, "no video 'case_009'"),
        ({"hit_id": "case_001/none/0"}, 404, "no such hit"),
        ({"hit_id": "../../etc/passwd"}, 404, "no such hit"),
    ],
)
def test_mistakes_are_told_in_one_line(asked: dict[str, object], status: int, words: str, ask: Asking) -> None:
    answer = ask.post("/v1/search", json=asked)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert words in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    ['{"vector": [NaN]}', '{"vector": [1e999]}', '{"text": "\\ud800"}', "[" * 10_000, '{"text": "\xff"}', "", "null",
     '{"min_score": Infinity, "text": "x"}', '{"k": 1' + "0" * 400 + ', "text": "x"}'],
)  # fmt: skip
def test_json_that_is_odd_is_refused(body: str, ask: Asking) -> None:
    answer = ask.post("/v1/search", content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == {"error"}


def test_vectors_of_texts_and_pictures_are_the_librarys(place: Path, ask: Asking, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    coarse = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(picture), cv2.resize(coarse, (320, 200), interpolation=cv2.INTER_CUBIC))
    with open_index(place / "index") as index:
        texts = ask.post("/v1/embed/text", json={"texts": ["one", "two", "one"]}).json()
        np.testing.assert_allclose(texts["vectors"], index.loaded.embed_texts(["one", "two", "one"]), atol=1e-5)
        assert (texts["dim"], texts["weights_sha256"]) == (32, index.about["weights_sha256"])
        image = ask.post("/v1/embed/image", content=picture.read_bytes()).json()["vectors"]
        np.testing.assert_allclose(image[0], index.query_vector(image=picture), atol=5e-3)
        path = place / "videos" / "case_001.mp4"
        video = ask.post("/v1/embed/video", content=path.read_bytes(), headers={"Content-Type": "video/mp4"}).json()
        np.testing.assert_allclose(video["vectors"][0], index.query_vector(video=path), atol=1e-4)


@pytest.mark.parametrize(
    ("route", "body", "content_type", "status"),
    [
        ("image", b"", "image/png", 422),
        ("image", b"not a picture", "image/png", 415),
        ("image", b"\xff\xd8\xff", "application/octet-stream", 422),
        ("image", b"\xff\xd8\xff", "text/html", 415),
        ("image", b"x", "multipart/form-data; boundary=a", 415),
        ("video", b"#EXTM3U\n/etc/passwd", "video/mp4", 415),
        ("video", b"\x00\x00\x00\x18ftypmp42" + bytes(500), "video/mp4", 422),
        ("image", b"\xff\xd8\xff" + bytes(1_000_001), "image/jpeg", 413),
        ("video", b"\x1aE\xdf\xa3" + bytes(2_000_001), "video/webm", 413),
    ],
)
def test_uploads_that_are_not_taken(
    *, route: str, body: bytes, content_type: str, status: int, ask: Asking, service: Service
) -> None:
    answer = ask.post(f"/v1/embed/{route}", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert not list(service.uploads.iterdir())


def test_what_the_index_holds(ask: Asking) -> None:
    facts = ask.get("/v1/index").json()
    assert (facts["model"], facts["dim"], facts["videos"], facts["windows"]) == ("tiny", 32, 2, 10)
    assert facts["facets"]["license"] == {"CC0": 1}
    assert (facts["window_seconds"], facts["calibrated"], facts["phase_prompts"]) == (4.0, False, "cataract101")
    videos = ask.get("/v1/videos").json()["videos"]
    assert [video["video_id"] for video in videos] == ["case_001", "case_002"]
    assert (videos[0]["title"], videos[0]["license"], videos[0]["duration_seconds"]) == ("Colours", "CC0", 12.0)
    assert "path" not in videos[0]
    assert ask.get("/v1/suggestions", params={"prefix": "lens inj"}).json()["suggestions"][0] == "lens injector"
    assert len(ask.get("/v1/suggestions", params={"limit": 3}).json()["suggestions"]) <= 3
    assert ask.get("/v1/suggestions", params={"limit": 1000}).status_code == 422


def test_the_picture_of_a_hit(place: Path, ask: Asking) -> None:
    hit_id = ask.post("/v1/search", json={"text": "x", "k": 1}).json()["hits"][0]["hit_id"]
    answer = ask.get(f"/v1/hits/{hit_id}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    with open_index(place / "index") as index:
        assert answer.content == index.thumbnail(hit_id)
    assert ask.get(f"/v1/hits/{hit_id.replace('/', '%2F')}/thumbnail").content == answer.content
    assert ask.get("/v1/hits/..%2f..%2fetc/thumbnail").status_code == 404


def test_a_heat_map_points_where_the_library_does(place: Path, ask: Asking) -> None:
    hit_id = ask.post("/v1/search", json={"text": "x", "k": 1}).json()["hits"][0]["hit_id"]
    answer = ask.post(f"/v1/hits/{hit_id}/heat_map", json={"text": "lens injector"})
    assert answer.headers["content-type"] == "image/jpeg"
    with open_index(place / "index") as index:
        pixels_hwc = decode_jpeg(index.thumbnail(hit_id))
        heat = heat_map(index.loaded, pixels_hwc, index.query_vector(text="lens injector"))
    across, down = map(float, answer.headers["x-peak"].split(","))
    assert (across * pixels_hwc.shape[1], down * pixels_hwc.shape[0]) == pytest.approx(heat.peak_xy, abs=0.05)
    assert decode_jpeg(answer.content).shape == pixels_hwc.shape
    assert ask.post("/v1/hits/none/heat_map", json={"text": "x"}).status_code == 404
    assert ask.post(f"/v1/hits/{hit_id}/heat_map", json={"vector": [1.0]}).status_code == 422


def test_the_bytes_of_a_video(place: Path, ask: Asking) -> None:
    content = (place / "videos" / "case_001.mp4").read_bytes()
    whole = ask.get("/v1/videos/case_001/clip")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "video/mp4")
    part = ask.get("/v1/videos/case_001/clip", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    head = ask("HEAD", "/v1/videos/case_001/clip")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    past = ask.get("/v1/videos/case_001/clip", headers={"Range": "bytes=99999999-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(content)}")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/videos/case_009/clip",
        "/v1/videos/..%2f..%2f..%2fetc%2fpasswd/clip",
        "/v1/videos/%2fetc%2fpasswd/clip",
        "/v1/videos/case_001.mp4/clip",
        "/v1/videos/case_001%00/clip",
        "/v1/videos/..%2findex%2fcatalogue.sqlite/clip",
        "/v1/videos/case_009/phases",
        "/page/../app.py",
        "/page/%2e%2e/app.py",
        "/page/..%2f..%2f..%2fetc/passwd",
        "/page//etc/passwd",
        "/docs",
        "/redoc",
    ],
)
def test_an_id_never_becomes_a_path(path: str, ask: Asking) -> None:
    answer = ask.get(path)
    assert answer.status_code == 404, answer.text[:200]
    assert set(answer.json()) == {"error"}


def test_phases_cover_the_video_and_are_the_likeliest_sequence(place: Path, ask: Asking, service: Service) -> None:
    answer = ask.get("/v1/videos/case_001/phases").json()
    spans = answer["spans"]
    assert answer["prompts"] == "cataract101"
    assert len(set(answer["names"])) == len(answer["names"]) == 10
    assert {one["phase"] for one in spans} <= set(answer["names"])
    assert ask.get("/v1/videos/case_002/phases").json()["names"] == answer["names"]
    assert (spans[0]["start_seconds"], spans[-1]["end_seconds"]) == (0.0, 12.0)
    assert all(one["end_seconds"] == other["start_seconds"] for one, other in pairwise(spans))
    assert all(one["phase"] != other["phase"] for one, other in pairwise(spans))
    assert ask.get("/v1/videos/case_001/phases").json() == answer


def test_a_curve_is_the_cosine_of_every_window(place: Path, ask: Asking) -> None:
    with open_index(place / "index") as index:
        spans, vectors_wd = index.window_vectors("case_002")
        query_d = index.query_vector(text="phaco handpiece")
    curve = ask.post("/v1/videos/case_002/curve", json={"text": "phaco handpiece"}).json()
    assert list(zip(curve["start_seconds"], curve["end_seconds"], strict=True)) == spans
    np.testing.assert_allclose(curve["scores"], vectors_wd @ query_d, atol=1e-5)
    hit_id = ask.post("/v1/search", json={"text": "x", "filters": {"video_ids": ["case_002"]}}).json()["hits"][0][
        "hit_id"
    ]
    own = ask.post("/v1/videos/case_002/curve", json={"hit_id": hit_id}).json()
    assert max(own["scores"]) == pytest.approx(1, abs=1e-5)
    vector = vectors_wd[1].tolist()
    assert np.argmax(ask.post("/v1/videos/case_002/curve", json={"vector": vector}).json()["scores"]) == 1
    assert ask.post("/v1/videos/case_009/curve", json={"text": "x"}).status_code == 404
    assert ask.post("/v1/videos/case_002/curve", json={}).status_code == 422


def test_the_service_tells_of_itself(ask: Asking, service: Service) -> None:
    assert ask.get("/health").json() == {"status": "ok"}
    assert ask.get("/ready").json() == {"status": "ready"}
    ask.post("/v1/embed/text", json={"texts": ["again", "again"]})
    figures = ask.get("/metrics").text
    assert 'ophclip_requests_total{route="/v1/embed/text",status="200"}' in figures
    for name in ("request_seconds_bucket", "encoder_waiting", "encoder_batch_bucket", "rejected_total",
                 "decoder_restarts_total", "text_cache_total"):  # fmt: skip
        assert f"ophclip_{name}" in figures
    assert "case_00" not in figures
    assert ask.get("/").headers["content-type"].startswith("text/html")
    document = ask.get("/openapi.json").json()
    assert "/v1/search" in document["paths"]
    assert ask("DELETE", "/v1/search").status_code == 405


def test_every_answer_forbids_what_a_page_could_be_made_to_do(ask: Asking) -> None:
    for path in ("/", "/v1/index", "/nothing", "/v1/videos/case_009/clip"):
        headers = ask.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
        assert headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control-")]
    assert ask.get("/v1/index").headers["cache-control"] == "no-store"


def test_an_index_that_grew_is_seen_after_reloading(place: Path, tmp_path: Path) -> None:
    from ophclip.config import IndexConfig
    from ophclip.search.build import build_index

    shutil.copytree(place, tmp_path / "own")
    own = tmp_path / "own"
    service = Service(own / "index", CONFIG)
    try:
        ask = Asking(create_app(service))
        write_video(own / "videos" / "case_003.mp4", shift=2)
        build_index(own / "bundle", own / "index", videos=own / "videos", config=IndexConfig(fps=1.0))
        assert ask.get("/v1/index").json()["videos"] == 2
        with service.reading() as before:
            assert ask.post("/v1/reload").json() == {"status": "ready"}
            assert before.index.search(text="x", k=1)
        assert ask.get("/v1/index").json()["videos"] == 3
        assert ask.get("/v1/videos/case_003/clip").status_code == 200
        (own / "videos" / "case_003.mp4").write_bytes(b"another")
        assert ask.get("/v1/videos/case_003/clip").status_code == 409
        (own / "videos" / "case_003.mp4").unlink()
        assert ask.get("/v1/videos/case_003/clip").status_code == 404
        shutil.move(own / "index", own / "elsewhere")
        refused = ask.post("/v1/reload")
        assert (refused.status_code, json.loads(refused.text)["error"][-1:]) == (409, "`")
        assert ask.get("/v1/index").json()["videos"] == 3
    finally:
        service.close()


def test_it_is_not_ready_while_a_file_of_its_index_is_gone(place: Path, ask: Asking) -> None:
    head = place / "index" / "clips" / "spans.json"
    assert ask.get("/ready").status_code == 200
    head.rename(head.with_suffix(".away"))
    answer = ask.get("/ready")
    assert answer.status_code == 503
    assert "spans.json: no such file" in answer.json()["error"]
    head.with_suffix(".away").rename(head)
    assert ask.get("/ready").status_code == 200


def test_every_route_says_what_was_wrong_and_what_to_do(ask: Asking) -> None:
    """Each operation of the document, asked for what is not there, with a wrong body, and by a wrong method."""
    document = ask.get("/openapi.json").json()
    told: dict[tuple[str, str], Any] = {}
    for template, operations in document["paths"].items():
        path = template.replace("{hit_id}", "nobody/0").replace("{video_id}", "nobody")
        answers = [ask("PATCH", path)]
        for method in operations:
            if method == "get":
                answers += [ask.get(path), ask.get(path, params={"limit": "many"})]
            else:
                bodies = (b"", b"{", b"[]", b"{}", b'{"text": ""}', b'{"text": "x", "k": 0}', b'{"colour": 1}')
                answers += [ask.post(path, content=one, headers={"Content-Type": "application/json"}) for one in bodies]
        told |= {(template, answer.text): answer for answer in answers if answer.status_code >= 400}
    assert len({template for template, _ in told}) == len(document["paths"])
    for (template, text), answer in told.items():
        assert list(answer.json()) == ["error"], (template, text)
        what, remedy, *_ = answer.json()["error"].split("; ")
        assert what, template
        assert remedy, template
        assert "\n" not in text
