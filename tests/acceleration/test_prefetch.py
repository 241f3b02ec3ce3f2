"""Models that files name are found in the model cache, or it is said which is not there, before any arm starts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from bench.acceleration.case import AccelerationCase
from bench.acceleration.prefetch import Wanted, fetch, missing_in, prefetch, wanted
from bench.core.errors import UsageProblem

FILE = """
from diffusers import AutoencoderKL, StableDiffusionPipeline

MODEL = "somebody/painter"
TWICE = "somebody/one"
TWICE = "somebody/other"
pipe = StableDiffusionPipeline.from_pretrained(MODEL, revision="v2")
pipe.vae = AutoencoderKL.from_pretrained("somebody/decoder", subfolder="vae")
pipe.load_lora_weights("somebody/style")
unet = type(pipe.unet).from_pretrained(pretrained_model_name_or_path="somebody/unet")
again = StableDiffusionPipeline.from_pretrained(MODEL, revision="v2")
unknown = StableDiffusionPipeline.from_pretrained(TWICE)
local = StableDiffusionPipeline.from_pretrained("./models/mine")
absolute = StableDiffusionPipeline.from_pretrained("/models/mine")
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model cache of the hub's form with one pipeline, and no network."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    add(folder, "somebody/painter")
    return folder


def add(cache: Path, repository: str) -> Path:
    """Add a pipeline to a cache; return its snapshot."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot, blobs = place / "snapshots" / ("a" * 40), place / "blobs"
    for folder in (snapshot / "unet", blobs, place / "refs"):
        folder.mkdir(parents=True)
    (place / "refs/main").write_text("a" * 40)
    index = {"_class_name": "P", "unet": ["diffusers", "U"], "safety_checker": [None, None]}
    for name, text in (("model_index.json", json.dumps(index)), ("unet/config.json", "{}")):
        blob = blobs / name.replace("/", "-")
        blob.write_text(text)
        (snapshot / name).symlink_to(blob)
    return snapshot


def case(tmp_path: Path, candidate: str, trusted: str = "pipe = 1\n") -> AccelerationCase:
    files = {}
    for role, text in (("target", trusted), ("baseline", "pipe = 1\n"), ("candidate", candidate)):
        files[f"{role}_file"] = tmp_path / f"{role}.py"
        files[f"{role}_file"].write_text(text)
    return AccelerationCase(id="easy-a-b-1", prompt_id=1, **files)


def loading(repository: str) -> str:
    return f"from diffusers import P\npipe = P.from_pretrained({repository!r})\n"


def test_a_text_says_what_it_loads_from_a_hub(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(FILE)
    found = [(one.repository, one.revision, one.subfolder) for one in wanted(tmp_path / "a.py")]
    assert found == [
        ("somebody/painter", "v2", None), ("somebody/decoder", None, "vae"), ("somebody/style", None, None),
        ("somebody/unet", None, None),
    ]  # fmt: skip
    assert wanted(tmp_path / "a.py")[1].place == "a.py, line 8"


def test_the_name_of_a_folder_is_no_name_on_a_hub(tmp_path: Path) -> None:
    (tmp_path / "zoo/tiny").mkdir(parents=True)
    (tmp_path / "a.py").write_text(loading("zoo/tiny"))
    assert wanted(tmp_path / "a.py") == []


def test_a_file_that_cannot_be_read_wants_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def (")
    assert wanted(tmp_path / "a.py") == []


def test_a_whole_copy_is_found(cache: Path) -> None:
    assert fetch(Wanted("somebody/painter")) is None
    assert fetch(Wanted("somebody/painter", subfolder="unet")) is None


def test_what_is_not_there_is_said(cache: Path) -> None:
    problem = fetch(Wanted("somebody/else"))
    assert problem is not None
    for part in ("it is not in the model cache", "arms have no network", "unset HF_HUB_OFFLINE"):
        assert part in problem


@pytest.mark.parametrize(
    ("lost", "named"), [("blobs/unet-config.json", "unet/config.json"), ("unet", "unet")]
)
def test_half_a_copy_is_not_taken(cache: Path, lost: str, named: str) -> None:
    place = cache / "models--somebody--painter"
    if lost == "unet":
        (place / "snapshots" / ("a" * 40) / "unet/config.json").unlink()
    else:
        (place / lost).unlink()
    problem = fetch(Wanted("somebody/painter"))
    assert problem is not None
    assert f"lacks {named}" in problem


def test_a_part_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    snapshot = add(tmp_path, "somebody/painter")
    assert missing_in(snapshot) is None
    assert missing_in(snapshot, "vae") == "vae"


def test_a_network_that_fails_is_told_in_one_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    def refuse(*_: object, local_files_only: bool = False, **__: object) -> str:
        raise OSError("we couldn't connect\nto the hub")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    problem = fetch(Wanted("somebody/else"))
    assert problem is not None
    assert "could not be loaded (OSError: we couldn't connect)" in problem
    assert "HF_TOKEN" in problem


def test_a_target_whose_model_is_not_there_ends_the_run_before_it_begins(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageProblem, match=r"--prefetch: target.py, line 2 names 'somebody/else': found that it is not"
    ):
        prefetch([case(tmp_path, loading("somebody/painter"), trusted=loading("somebody/else"))])


def test_a_candidate_whose_model_is_not_there_is_warned_of_and_ends_no_run(
    cache: Path, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="candidate.py, line 2 names 'somebody/else'"):
        prefetch([case(tmp_path, loading("somebody/else"), trusted=loading("somebody/painter"))])


def test_nothing_is_said_of_what_is_there(cache: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prefetch([case(tmp_path, loading("somebody/painter"), trusted=loading("somebody/painter"))])
