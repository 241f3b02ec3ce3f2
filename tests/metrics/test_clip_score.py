"""CLIP scores and image fidelity against direct computations with the libraries they come from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.core.errors import UsageProblem
from bench.machine.torchvision_shim import ensure_torchvision
from bench.metrics.clip_model import ClipModel, resolve
from bench.metrics.clip_score import clip_score
from bench.metrics.image_fidelity import (
    CONSTANT_STD,
    IMAGE_METRICS,
    ImageMetrics,
    constant_images,
    duplicate_images,
    psnr,
    ssim,
)

ZOO = Path(__file__).resolve().parents[2] / "fixtures" / "zoo"
TINY_CLIP = ZOO / "tiny-clip"


@pytest.fixture(scope="module")
def drawings():
    """Twelve drawn images, uint8 [12, 32, 32, 3], and their captions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ZOO))
        import shapes

        scenes = shapes.evaluation_scenes(12)
        return shapes.draw_many(scenes, seed=3), [scene.caption for scene in scenes]


@pytest.fixture(scope="module")
def clip():
    return ClipModel(str(TINY_CLIP))


@pytest.fixture
def copied_model(tmp_path):
    return Path(shutil.copytree(TINY_CLIP, tmp_path / "clip"))


# Embeddings and their score


def direct_scores(images, captions):
    """The same with open_clip alone, one image at a time."""
    ensure_torchvision()
    import open_clip
    import torch
    from PIL import Image

    source = f"local-dir:{TINY_CLIP}"
    model, _, preprocess = open_clip.create_model_and_transforms(source)
    tokenizer, scores = open_clip.get_tokenizer(source), []
    model.eval()
    with torch.no_grad():
        for image, caption in zip(images, captions, strict=True):
            one = model.encode_image(preprocess(Image.fromarray(image))[None])[0].double()
            other = model.encode_text(tokenizer([caption]))[0].double()
            scores.append(float(100 * one @ other / (one.norm() * other.norm())))
    return np.array(scores)


def test_score_is_that_of_open_clip(clip, drawings):
    images, captions = drawings
    found = clip_score(clip.embed_images(images), clip.embed_texts(captions))
    np.testing.assert_allclose(found, direct_scores(images, captions), atol=1e-4)
    assert found.mean() > 80
    wrong = captions[1:] + captions[:1]
    swapped = clip_score(clip.embed_images(images), clip.embed_texts(wrong))
    np.testing.assert_allclose(swapped, direct_scores(images, wrong), atol=1e-4)
    assert swapped.mean() < 40


def test_embedding_does_not_depend_on_the_batch(clip, drawings):
    images, captions = drawings
    for embed, items in ((clip.embed_images, images), (clip.embed_texts, captions)):
        whole, parts = embed(items), embed(items, batch_size=5)
        assert whole.dtype == np.float32
        assert whole.shape == (12, 64)
        np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(parts, whole, atol=1e-5)


VECTORS = arrays.arrays(np.float64, (3, 4), elements=st.floats(-100, 100)).filter(
    lambda rows: (np.linalg.norm(rows, axis=1) > 1e-3).all()
)


@given(VECTORS, VECTORS, st.floats(0.01, 100))
def test_score_is_a_hundred_times_the_cosine_whatever_the_lengths(images, texts, factor):
    found = clip_score(images, texts)
    expected = [100 * a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(images, texts, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(clip_score(factor * images, texts), found, atol=1e-9)
    np.testing.assert_allclose(clip_score(-images, texts), -found, atol=1e-9)  # not clipped at zero
    np.testing.assert_allclose(clip_score(images, images), 100, atol=1e-9)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_embedding_without_a_direction_is_refused_by_its_index(bad):
    rows, broken = np.ones((3, 2)), np.ones((3, 2))
    broken[1] = bad
    with pytest.raises(ValueError, match="found image embedding 1 zero or not finite"):
        clip_score(broken, rows)
    with pytest.raises(ValueError, match="found text embedding 1 zero or not finite"):
        clip_score(rows, broken)


def test_rows_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(3, 2\) and \(2, 2\), expected equal ones"):
        clip_score(np.ones((3, 2)), np.ones((2, 2)))


# Models that cannot be used


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-33:openai", r"'ViT-B-33' is neither a directory nor a model.*nearest names: ViT-B-32, "),
        ("ViT-B_32", r"nearest names: .*ViT-B-32"),
        ("no such thing at all", r"nearest names: none; give MODEL:PRETRAINED or a local directory"),
        ("ViT-B-32", r"ViT-B-32 has no weights ''; give one of openai, "),
        ("ViT-B-32:opnai", r"ViT-B-32 has no weights 'opnai'; give one of openai, "),
        ("local-dir:/no/such/directory", r"open_clip could not load it \(FileNotFoundError"),
    ],
)
def test_unknown_name_is_refused_with_the_nearest_ones(name, message):
    with pytest.raises(UsageProblem, match=message) as refused:
        ClipModel(name)
    assert str(refused.value).startswith(f"--clip {name}: ")


def test_names_are_split_as_open_clip_wants_them(tmp_path):
    import open_clip

    weights = tmp_path / "weights.pt"
    weights.touch()
    assert resolve("ViT-B-32:openai", open_clip) == ("ViT-B-32", "openai")
    assert resolve(f"ViT-B-32:{weights}", open_clip) == ("ViT-B-32", str(weights))
    assert resolve("hf-hub:someone/clip", open_clip) == ("hf-hub:someone/clip", None)
    assert resolve(str(TINY_CLIP), open_clip) == (f"local-dir:{TINY_CLIP}", None)


def test_directory_without_a_configuration_is_refused(copied_model):
    (copied_model / "open_clip_config.json").unlink()
    with pytest.raises(UsageProblem, match=r"the directory has no open_clip_config\.json"):
        ClipModel(str(copied_model))


@pytest.mark.parametrize("content", ["{", "{}", '{"model_cfg": {}}'])
def test_broken_configuration_is_refused(copied_model, content):
    (copied_model / "open_clip_config.json").write_text(content)
    with pytest.raises(UsageProblem, match="open_clip could not load it"):
        ClipModel(str(copied_model))


def test_model_without_weights_is_refused_and_not_drawn_at_random(copied_model):
    (copied_model / "open_clip_model.safetensors").unlink()
    with pytest.raises(UsageProblem, match=r"pretrained weights .* could not be loaded"):
        ClipModel(str(copied_model))


@pytest.mark.parametrize("size", [0, 1000, -4])
def test_weights_that_are_cut_short_are_refused(copied_model, size):
    weights = copied_model / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(UsageProblem, match="open_clip could not load it"):
        ClipModel(str(copied_model))


def test_weights_of_another_model_are_refused(copied_model):
    path = copied_model / "open_clip_config.json"
    configuration = json.loads(path.read_text())
    configuration["model_cfg"]["embed_dim"] = 32
    path.write_text(json.dumps(configuration))
    with pytest.raises(UsageProblem, match="size mismatch"):
        ClipModel(str(copied_model))


def test_model_without_its_vocabulary_is_refused(copied_model):
    (copied_model / "tokenizer.json").unlink()
    with pytest.raises(UsageProblem, match="gives every text the same tokens"):
        ClipModel(str(copied_model))


# Fidelity


@pytest.fixture(scope="module")
def pairs(drawings):
    """Image pairs from nearly equal to unrelated."""
    images, rng = drawings[0], np.random.default_rng(0)
    noisy = [np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8) for image in images]
    return [*zip(images, noisy, strict=True), (images[0], images[1]), (images[2], 255 - images[2])]


def test_ssim_is_that_of_scikit_image(pairs):
    for image, reference in pairs:
        expected = structural_similarity(image, reference, channel_axis=2, data_range=255)
        assert ssim(image, reference) == pytest.approx(expected, abs=1e-12)
        assert ssim(image, image) == pytest.approx(1)


def test_psnr_is_that_of_scikit_image(pairs):
    for image, reference in pairs:
        expected = peak_signal_noise_ratio(reference, image, data_range=255)
        assert psnr(image, reference) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("difference", [1, 10, 255])
def test_psnr_of_a_constant_difference_is_the_hand_formula(difference):
    dark = np.zeros((4, 6, 3), dtype=np.uint8)
    # 8-bit arithmetic would wrap around here: the difference counts in both directions.
    for one, other in ((dark, dark + np.uint8(difference)), (dark + np.uint8(difference), dark)):
        assert psnr(one, other) == pytest.approx(20 * np.log10(255 / difference))


def test_ssim_of_two_flat_colours_is_the_hand_formula():
    one, other = np.full((16, 16, 3), 100, dtype=np.uint8), np.full((16, 16, 3), 150, dtype=np.uint8)
    c1 = (0.01 * 255) ** 2  # Wang et al. 2004: without variance only the luminance term is left
    assert ssim(one, other) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


def test_identical_images_have_no_psnr(drawings):
    assert psnr(drawings[0][0], drawings[0][0].copy()) is None


@pytest.mark.parametrize(("height", "width"), [(3, 3), (4, 9), (6, 32), (7, 7), (8, 5)])
def test_ssim_of_images_smaller_than_the_window_is_a_number(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert -1 <= ssim(image, image[::-1].copy()) < ssim(image, image) == pytest.approx(1)


def test_flat_images_are_found_up_to_rounding(drawings):
    flat = np.full((8, 8, 3), (10, 200, 30), dtype=np.uint8)
    rounded = flat.copy()
    rounded[0, 0] += 1
    at_the_limit = np.zeros((8, 8, 3), dtype=np.uint8)
    at_the_limit[::2] = 2 * CONSTANT_STD
    one_channel = flat.copy()
    one_channel[::2, :, 1] = 0
    black = np.zeros((4, 4, 3), dtype=np.uint8)
    images = [drawings[0][0], flat, at_the_limit, rounded, one_channel, black]
    assert constant_images(images) == [1, 3, 5]
    assert constant_images([]) == []


def test_equal_images_are_found_with_the_first_of_them(drawings):
    a, b, c = drawings[0][:3]
    nearly = a.copy()
    nearly[0, 0, 0] ^= 1
    assert duplicate_images([a, b, a.copy(), c, b.copy(), a.copy(), nearly]) == [(0, 2), (1, 4), (0, 5)]
    assert duplicate_images([a, b, c]) == duplicate_images([]) == []


def test_equal_bytes_of_another_shape_are_another_image():
    pixels = np.arange(24, dtype=np.uint8)
    assert duplicate_images([pixels.reshape(2, 4, 3), pixels.reshape(4, 2, 3)]) == []


# Metrics of users


def test_similarities_are_registered_in_order_and_a_greater_one_is_closer():
    assert [(name, metric.higher_is_better) for name, metric in IMAGE_METRICS.items()][:2] == [
        ("ssim", True), ("psnr_db", True),
    ]  # fmt: skip


def test_a_metric_of_a_users_may_declare_that_lower_is_closer():
    metrics = ImageMetrics("image metric")

    @metrics.register("mean_absolute_error", higher_is_better=False)
    def mean_absolute_error(image, reference):
        return float(np.abs(image.astype(int) - reference.astype(int)).mean())

    metric = metrics["mean_absolute_error"]
    dark = np.zeros((4, 6, 3), dtype=np.uint8)
    assert metric(dark, dark + np.uint8(7)) == mean_absolute_error(dark, dark + np.uint8(7)) == 7
    assert not metric.higher_is_better
    with pytest.raises(
        ValueError, match=r"registered twice: in .*test_clip_score\.py:\d+ and in .*test_clip_score"
    ):
        metrics.register("mean_absolute_error")(mean_absolute_error)
