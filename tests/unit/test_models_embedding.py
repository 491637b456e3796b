"""The embedding model against what evaluation and search call, against open_clip, and against odd inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

import ophclip
from ophclip.data.batch import Tokens
from ophclip.model_options import FramePooling, ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import Loaded, load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.models.embedding import EmbeddingModel

TEXTS = ["a lens injector", "keratome", "the phaco tip in the anterior chamber", "x", ""]


@pytest.fixture(scope="module", params=[FramePooling.MEAN, FramePooling.TEMPORAL_TRANSFORMER])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=32),
        text=TextConfig(name="tiny", context_length=16),
        pooling=request.param,
    )
    torch.manual_seed(0)
    model = build_model(config)
    for parameter in model.pooling.parameters():  # untrained, every pooling is the mean
        torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path_factory.mktemp("models") / "bundle"
    save_bundle(folder, model, config, {})
    return folder


@pytest.fixture(scope="module")
def loaded(bundle: Path) -> Loaded:
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def model(bundle: Path) -> EmbeddingModel:
    return ophclip.load(bundle)[0]


def frames(number: int = 7, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (number, 40, 52, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_it_says_what_evaluation_and_search_hear(model: EmbeddingModel, loaded: Loaded, batch: int) -> None:
    pixels = frames()
    seen = model.encode_image(pixels, normalize=True, batch=batch)
    assert isinstance(seen, np.ndarray)
    np.testing.assert_allclose(seen, loaded.embed_frames(pixels), atol=1e-6)
    said = model.encode_text(TEXTS, normalize=True, batch=batch)
    np.testing.assert_allclose(said.numpy(), loaded.embed_texts(TEXTS), atol=1e-6)
    whole = model.encode_video(pixels, normalize=True, batch=batch)
    np.testing.assert_allclose(whole, loaded.pool_spans(loaded.embed_frames(pixels), [(0, 7)]), atol=1e-6)
    plain = model.encode_video(pixels, batch=batch)
    np.testing.assert_allclose(whole, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)


def test_everything_that_holds_the_same_pictures_gives_the_same(model: EmbeddingModel, tmp_path: Path) -> None:
    pixels = frames(3)
    expected = model.encode_image(pixels)
    pictures = [Image.fromarray(one) for one in pixels]
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    channels_first = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    stacked = torch.stack([model.preprocess(picture) for picture in pictures])
    for given in (pictures, iter(pictures), paths, channels_first, stacked, model.preprocess(pixels)):
        found = model.encode_image(given)
        assert isinstance(found, torch.Tensor)
        torch.testing.assert_close(found.detach().numpy(), expected, atol=1e-6, rtol=1e-5)
    for arrays in (list(pixels), iter(list(pixels)), stacked.numpy()):
        np.testing.assert_allclose(model.encode_image(arrays), expected, atol=1e-6)
    np.testing.assert_allclose(model.encode_image(pixels[0]), expected[:1], atol=1e-6)
    assert model.encode_image(pictures[0]).shape == model.encode_image(str(paths[0])).shape == (1, 32)
    tokens = model.tokenizer(TEXTS)
    expected_bd = model.encode_text(TEXTS)
    for text in (tokens, tokens.ids_bl):
        torch.testing.assert_close(model.encode_text(text).detach(), expected_bd)
    np.testing.assert_allclose(model.encode_text(tokens.ids_bl.numpy()), expected_bd.numpy(), atol=1e-6)
    torch.testing.assert_close(model.encode_text("keratome"), expected_bd[1:2])


def test_videos_of_every_kind_and_length(model: EmbeddingModel) -> None:
    one, two = frames(5, 1), frames(2, 2)
    expected = np.concatenate([model.encode_video(one), model.encode_video(two)])
    np.testing.assert_allclose(model.encode_video([one, two]), expected, atol=1e-6)
    np.testing.assert_allclose(model.encode_video(iter(one)), expected[:1], atol=1e-6)
    np.testing.assert_allclose(model.encode_video(list(one)), expected[:1], atol=1e-6)
    np.testing.assert_allclose(
        model.encode_video(np.stack([one[:2], two])), expected_pair(model, one[:2], two), atol=1e-6
    )
    prepared = model.preprocess(one)[None]
    torch.testing.assert_close(model.encode_video(prepared).detach().numpy(), expected[:1], atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(model.encode_video(prepared.numpy(), batch=2), expected[:1], atol=1e-6)
    alone = model.encode_video(one[:1], normalize=True)
    assert alone.shape == (1, 32)


def expected_pair(model: EmbeddingModel, one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([model.encode_video(one), model.encode_video(two)])


def test_a_file_is_streamed_as_an_index_looks_at_it(model: EmbeddingModel, loaded: Loaded, tmp_path: Path) -> None:
    from ophclip.evaluation.embedding import embed_video

    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (52, 40))  # type: ignore[attr-defined]
    for pixels in frames(33):
        writer.write(pixels)
    writer.release()
    vectors_td = embed_video(loaded, path, fps=2.0, batch_frames=4).vectors_td
    expected = loaded.pool_spans(vectors_td, [(0, len(vectors_td))])
    found = model.encode_video(path, normalize=True, batch=4)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(
        model.encode_video([path, str(path)], True).numpy(), np.repeat(expected, 2, 0), atol=1e-6
    )


def test_none_gives_none_and_memory_is_a_batch(model: EmbeddingModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model.encode_image([]).shape == model.encode_text([]).shape == model.encode_video([]).shape == (0, 32)
    assert model.encode_image(frames(0)).shape == model.encode_image(torch.zeros(0, 3, 32, 32)).shape == (0, 32)
    assert model.encode_text(torch.zeros(0, 16, dtype=torch.int64)).shape == (0, 32)
    sizes: list[int] = []
    kept = model.encoder.encode_frames

    def counted(pictures: torch.Tensor, **options: bool) -> torch.Tensor:
        sizes.append(len(pictures))
        return kept(pictures, **options)

    monkeypatch.setattr(model.encoder, "encode_frames", counted)
    drawn = 0

    def stream() -> Iterator[NDArray[np.uint8]]:
        nonlocal drawn
        for pixels in frames(10):
            drawn += 1
            assert drawn <= sum(sizes) + 4
            yield pixels

    assert model.encode_video(stream(), batch=4).shape == (1, 32)
    assert sizes == [4, 4, 2]


def test_prepared_tensors_keep_gradients_and_the_mode(model: EmbeddingModel) -> None:
    prepared = model.preprocess(frames(2)).requires_grad_()
    torch.autograd.backward(model.encode_image(prepared, normalize=True).sum())
    assert prepared.grad is not None
    features = model.encode_text(TEXTS)
    assert not features.requires_grad
    torch.autograd.backward(torch.nn.Linear(32, 2)(features).sum())  # a probe may learn from them
    model.train()
    np.testing.assert_allclose(model.encode_image(frames(2)), model.eval().encode_image(frames(2)), atol=1e-6)


ODD: dict[str, Any] = {
    "encode_image: .*found uint8 \\[40, 52\\]": lambda: frames()[0, :, :, 0],
    "encode_image: .*found uint8 \\[40, 52, 4\\]": lambda: np.dstack([frames()[0], frames()[0, :, :, :1]]),
    "encode_image: found torch.float32 \\[40, 52, 3\\]; expected float \\[N, 3, S, S\\] with S = 32": lambda: (
        frames()[0] / 255
    ),
    "a value is not finite": lambda: torch.full((1, 3, 32, 32), torch.nan),
    "found torch.float32 \\[3, 32, 32\\]": lambda: torch.zeros(3, 32, 32),
    "found torch.float32 \\[1, 3, 40, 40\\]": lambda: torch.zeros(1, 3, 40, 40),
    "found a tensor of torch.int64": lambda: torch.zeros(1, 3, 32, 32, dtype=torch.int64),
    "found uint8 \\[0, 52, 3\\]": lambda: frames()[0, :0],
    "found list": lambda: [[1, 2]],
    "there is no such file": lambda: "/no/such/picture.png",
}


@pytest.mark.parametrize("message", ODD)
def test_odd_pictures_are_told_in_one_line(model: EmbeddingModel, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        model.encode_image(ODD[message]())
    assert "\n" not in str(caught.value)


def test_odd_texts_videos_and_options_are_told_in_one_line(model: EmbeddingModel) -> None:
    empty: list[Any] = [frames(0)]
    for call, message in (
        (lambda: model.encode_text([3]), "found int among the texts"),  # type: ignore[list-item]
        (lambda: model.encode_text(torch.zeros(2, 16)), "found torch.float32"),
        (lambda: model.encode_text(torch.zeros(2, 17, dtype=torch.int64)), "at most 16"),
        (lambda: model.encode_text(["a"], batch=0), "batch: 0 given"),
        (lambda: model.encode_image(torch.zeros(1, 3, 32, 32), batch=0), "batch: 0 given"),
        (lambda: model.encode_video(frames(), fps=0), "fps is 0"),
        (lambda: model.encode_video(empty), "without frames"),
        (lambda: model.encode_video(torch.zeros(1, 0, 3, 32, 32)), "without frames"),
        (lambda: model.encode_video(frames()[0]), "expected uint8 \\[T, H, W, 3\\]"),
        (lambda: model.encode_video("/no/such/film.mp4"), "/no/such/film.mp4"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_grey_and_transparent_pictures_of_pil_become_rgb(model: EmbeddingModel) -> None:
    grey = Image.fromarray(frames()[0]).convert("L")
    clear = Image.fromarray(frames()[0]).convert("RGBA")
    torch.testing.assert_close(model.encode_image(grey), model.encode_image(grey.convert("RGB")))
    torch.testing.assert_close(model.encode_image(clear), model.encode_image(Image.fromarray(frames()[0])))


def test_code_of_open_clips_runs(bundle: Path) -> None:
    """The example of open_clip's README, with the name of the package changed."""
    model, train_transform, preprocess = ophclip.create_model_and_transforms(str(bundle))
    tokenizer = ophclip.get_tokenizer(str(bundle))
    picture = Image.fromarray(frames()[0])
    image = preprocess(picture).unsqueeze(0)
    text = tokenizer(["a diagram", "a dog", "a cat"])
    with torch.no_grad():
        image_features = model.encode_image(image)
        text_features = model.encode_text(text)
        image_features /= image_features.norm(dim=-1, keepdim=True)
        text_features /= text_features.norm(dim=-1, keepdim=True)
        probabilities = (model.logit_scale.exp() * image_features @ text_features.T).softmax(dim=-1)
        seen, said, scale = model(image, text)
    torch.testing.assert_close(probabilities, (scale * seen @ said.T).softmax(dim=-1))
    torch.manual_seed(3)
    drawn = [train_transform(picture) for _ in range(2)]
    assert drawn[0].shape == image[0].shape
    assert not torch.equal(drawn[0], drawn[1])
    torch.manual_seed(3)
    torch.testing.assert_close(train_transform(picture), drawn[0])


@pytest.mark.parametrize("name", ["small", "small-quickgelu"])
def test_open_clips_own_model_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    vision = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
    described = {
        "embed_dim": 16,
        "vision_cfg": vision,
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
        "quick_gelu": name.endswith("quickgelu"),
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, described)
    torch.manual_seed(0)
    peer = open_clip.create_model(name).eval()
    torch.save(peer.state_dict(), tmp_path / "weights.pt")
    model, _, preprocess = ophclip.create_model_and_transforms(name, tmp_path / "weights.pt")
    tokenizer, theirs = ophclip.get_tokenizer(name), open_clip.get_tokenizer(name)
    assert preprocess.mean == open_clip.OPENAI_DATASET_MEAN
    pictures = preprocess(frames(3))
    torch.testing.assert_close(tokenizer(TEXTS), theirs(TEXTS))
    for normalize in (False, True):
        torch.testing.assert_close(
            model.encode_image(pictures, normalize), peer.encode_image(pictures, normalize), atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(
            model.encode_text(theirs(TEXTS), normalize),
            peer.encode_text(theirs(TEXTS), normalize),
            atol=1e-5,
            rtol=1e-5,
        )
    torch.testing.assert_close(model.logit_scale, peer.logit_scale)


def test_what_is_not_here_is_told_and_nothing_is_fetched(tmp_path: Path) -> None:
    for arguments, message in (
        (("ViT-B-32",), "an architecture without weights; give pretrained=FILE"),
        (("ViT-B-33",), "no such folder; a hub name needs download=True; architectures of open_clip like it: ViT-B-32"),
        (("owner/name",), "a hub name needs download=True$"),
        (("hf-hub:owner/name",), "^owner/name: no such folder"),
        (("tiny", "laion2b"), "laion2b: no such file; expected local weights of tiny"),
        (("no-such-architecture", tmp_path), "is no architecture of open_clip"),
    ):
        with pytest.raises(ValueError, match=message):
            ophclip.create_model_and_transforms(*arguments)
    with pytest.raises(ValueError, match="a hub name needs download=True"):
        ophclip.get_tokenizer("owner/name")
    with pytest.raises(ValueError, match="at least one"):
        ophclip.get_tokenizer("ViT-B-32")([])


def test_unit_length_is_a_choice(model: EmbeddingModel) -> None:
    plain = model.encode_text(TEXTS)
    torch.testing.assert_close(model.encode_text(TEXTS, True), F.normalize(plain, dim=-1))
    assert isinstance(model.tokenizer(TEXTS), Tokens)
    assert model.embed_dim == 32
    assert model.device.type == "cpu"
