"""What comes with the prompts: columns and folders of images, class labels, and each bad one with its message."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.acceleration.inputs import Inputs
from bench.acceleration.kind import KIND
from bench.acceleration.options import AccelerationOptions
from bench.acceleration.prompts import (
    Sample,
    SampleStream,
    check_prompts,
    draw_samples,
    load_prompts,
    named_files,
)
from bench.acceleration.protocol.inputs import pack_inputs, unpack_inputs
from bench.acceleration.quality import Scoring
from bench.acceleration.references import References
from bench.core.errors import UsageProblem
from bench.core.options import Setting
from bench.run.options import RunOptions
from bench.run.resume import shared_fingerprint

SIDE = 8


def picture(seed: int, size: tuple[int, int] = (SIDE, SIDE), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with pictures a.png to d.png, masks, and a larger picture."""
    for number, name in enumerate("abcd"):
        picture(number).save(tmp_path / f"{name}.png")
        picture(number, mode="L").save(tmp_path / f"{name}_mask.png")
    picture(9, (16, SIDE)).save(tmp_path / "wide.png")
    (tmp_path / "text.png").write_text("no picture")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    whole = encoded(picture(1, (64, 64)), "JPEG")
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def written(folder: Path, *rows: dict[str, Any]) -> str:
    file = folder / "p.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def drawn(source: str, count: int, keep: Path | None = None, inputs: tuple[str, ...] = ()) -> list[Sample]:
    """Return all samples of a file, in the order of their prompts."""
    samples = draw_samples(load_prompts(source, inputs=inputs), count, 0, keep=keep)
    return sorted(samples, key=lambda sample: sample.prompt)


def check(source: str, count: int = 1, **options: Any) -> None:
    check_prompts(source, split=None, column=None, count=count, **options)


# Columns


def test_columns_are_inputs_with_paths_relative_to_the_file(folder: Path) -> None:
    row = {"Image": "a.png", "mask": "a_mask.png", "conditioning_image": str(folder / "b.png")}
    source = written(folder, {"prompt": "one", **row, "label": 3})
    (sample,) = drawn(source, 1)
    assert sample.inputs == Inputs(
        image=str(folder / "a.png"), mask_image=str(folder / "a_mask.png"), control_image=str(folder / "b.png"),
        class_label=3,
    )  # fmt: skip
    assert sample.shown() == {
        "prompt": "one", "seed": sample.seed, "image": "a.png", "mask_image": "a_mask.png", "control_image": "b.png",
        "class_label": 3,
    }  # fmt: skip
    assert Sample.from_json(json.loads(json.dumps(sample.to_json()))) == sample


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.csv", "prompt,image,class_labels\none,a.png,0\ntwo,b.png,7\n"),
        ("p.tsv", "prompt\timage\tclass_label\none\ta.png\t0\ntwo\tb.png\t7\n"),
    ],
)
def test_tables_of_text_hold_paths_and_labels(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    check(str(folder / name), 2)
    assert [sample.inputs for sample in drawn(str(folder / name), 2)] == [
        Inputs(image=str(folder / "a.png"), class_label=0),
        Inputs(image=str(folder / "b.png"), class_label=7),
    ]


def test_images_in_parquet_and_in_saved_datasets_are_written_once_as_they_are(folder: Path) -> None:
    import datasets

    rows = datasets.Dataset.from_dict(
        {"prompt": ["one", "two"], "image": [picture(0), picture(1)], "label": [4, 5]},
        features=datasets.Features(
            prompt=datasets.Value("string"), image=datasets.Image(), label=datasets.ClassLabel(num_classes=9)
        ),
    )
    rows.to_parquet(folder / "p.parquet")
    rows.save_to_disk(folder / "saved")
    for name in ("p.parquet", "saved"):
        check(str(folder / name), 2)
        keep = folder / "kept"
        samples = drawn(str(folder / name), 2, keep)
        assert [sample.inputs.class_label for sample in samples] == [4, 5]
        for number, sample in enumerate(samples):
            assert sample.inputs.image is not None
            np.testing.assert_array_equal(np.asarray(Image.open(sample.inputs.image)), picture(number))
        assert len(list(keep.iterdir())) == 2  # the same content, the same file


def test_a_column_called_label_that_holds_no_numbers_is_no_class(folder: Path) -> None:
    (sample,) = drawn(written(folder, {"text": "one", "label": "animal"}), 1)
    assert sample.inputs == Inputs()


def test_a_photo_is_turned_as_its_camera_says(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (folder / "turned.jpg").write_bytes(encoded(picture(1, (16, SIDE)), "JPEG", exif=exif))
    picture(2, (SIDE, 16), "L").save(folder / "tall.png")
    source = written(folder, {"prompt": "one", "image": "turned.jpg", "mask": "tall.png"})
    check(source)
    (sample,) = drawn(source, 1)
    (found,) = unpack_inputs(*pack_inputs([sample.inputs]), 1)
    assert found["image"].size == found["mask_image"].size == (SIDE, 16)


# Folders next to the file


@pytest.mark.parametrize("name", ["p.txt", "p.tsv", "p.json"])
def test_files_in_a_folder_next_to_the_prompts_are_one_per_row(folder: Path, name: str) -> None:
    prompts = ["1 ring", "2 rings", "3 rings"]
    text = json.dumps([{"prompt": prompt} for prompt in prompts]) if name == "p.json" else "\n".join(prompts)
    (folder / name).write_text(text)
    for kind in ("images", "masks", "controls"):
        (folder / f"p.{kind}").mkdir()
        (folder / f"p.{kind}/.hidden").touch()
        for file in ("1.png", "2.png", "10.png"):
            picture(1).save(folder / f"p.{kind}" / file)
    check(str(folder / name), 3)
    samples = drawn(str(folder / name), 3)
    assert [sample.shown()["image"] for sample in samples] == ["1.png", "2.png", "10.png"]
    assert samples[0].inputs.images().keys() == {"image", "mask_image", "control_image"}


def test_another_count_of_files_is_refused_with_both_counts(folder: Path) -> None:
    (folder / "p.txt").write_text("one\ntwo\nthree\n")
    (folder / "p.masks").mkdir()
    picture(1).save(folder / "p.masks/1.png")
    with pytest.raises(
        UsageProblem, match=r"found 1 files in \S+p\.masks for 3 rows; expected one for each row"
    ):
        check(str(folder / "p.txt"))


def test_a_column_and_a_folder_for_one_input_are_refused(folder: Path) -> None:
    (folder / "p.images").mkdir()
    with pytest.raises(
        UsageProblem, match=r"found the column 'image' and the folder \S+p\.images, expected one"
    ):
        check(written(folder, {"prompt": "one", "image": "a.png"}))


@pytest.mark.parametrize("column", ["init_image", "Input_Image", "source_image"])
def test_an_image_may_have_other_names_and_blanks_around_its_path(folder: Path, column: str) -> None:
    file = folder / "named.csv"
    file.write_text(f"prompt, {column}\none, a.png\n")
    assert load_prompts(str(file)).inputs.at(0).image == str(folder / "a.png")


def test_a_folder_may_be_called_after_the_file_with_an_underscore_but_not_both(folder: Path) -> None:
    (folder / "p.txt").write_text("one\ntwo\n")
    (folder / "p_images").mkdir()
    for name in ("1.png", "2.png"):
        picture(1).save(folder / "p_images" / name)
    assert [sample.shown()["image"] for sample in drawn(str(folder / "p.txt"), 2)] == ["1.png", "2.png"]
    (folder / "p.images").mkdir()
    with pytest.raises(
        UsageProblem, match=r"found the folder \S+p\.images and the folder \S+p_images, expected one"
    ):
        check(str(folder / "p.txt"))
    check(str(folder / "p.txt"), inputs=("none",))


def test_an_underscored_folder_with_another_count_is_refused(folder: Path) -> None:
    (folder / "p.txt").write_text("one\ntwo\n")
    (folder / "p_images").mkdir()
    with pytest.raises(UsageProblem, match=r"found 0 files in \S+p_images for 2 rows"):
        check(str(folder / "p.txt"))


# The metadata of Hugging Face's imagefolder


def metadata(folder: Path, *rows: dict[str, Any], suffix: str = ".jsonl") -> str:
    file = folder / f"metadata{suffix}"
    if suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        file.write_text("\n".join(lines))
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_an_image_folders_metadata_names_the_images_of_its_rows(folder: Path, suffix: str) -> None:
    rows = [{"file_name": f"{name}.png", "mask_file_name": f"{name}_mask.png", "text": name} for name in "ab"]
    source = metadata(folder, *rows, suffix=suffix)
    check(source, 2)
    assert [sample.inputs for sample in drawn(source, 2)] == [
        Inputs(image=str(folder / f"{name}.png"), mask_image=str(folder / f"{name}_mask.png"))
        for name in "ab"
    ]
    assert [sample.inputs for sample in drawn(source, 2, inputs=("none",))] == [Inputs(), Inputs()]
    assert len(named_files(source)) == 4


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"file_name": "absent.png"}, r"row 1: found no file \S+absent\.png; expected an image"),
        ({"file_name": None}, r"row 1: found None in column 'file_name', expected the path of an image"),
        ({"file_name": "half.png"}, r"row 1: found the file \S+half\.png, which is no whole image"),
        (
            {"file_name": "wide.png"},
            r"row 1: found image of 16 x 8 pixels, and image of 8 x 8 pixels in row 0",
        ),
    ],
)
def test_a_row_of_the_metadata_without_a_usable_image_is_refused(
    folder: Path, row: dict[str, Any], message: str
) -> None:
    source = metadata(folder, {"file_name": "a.png", "text": "one"}, {"text": "two", **row})
    with pytest.raises(UsageProblem, match=message):
        check(source)


def test_the_metadata_and_a_folder_are_two_sources(folder: Path) -> None:
    (folder / "metadata_images").mkdir()
    with pytest.raises(UsageProblem, match=r"found the column 'file_name' and the folder \S+metadata_images"):
        check(metadata(folder, {"file_name": "a.png", "text": "one"}))


def test_file_names_that_bring_no_image_are_left_alone(folder: Path) -> None:
    (folder / "a.mp4").touch()
    for row in ({"file_name": "elsewhere.png"}, {"file_name": "a.mp4"}, {"file_name": "https://x.org/a.png"}):
        (sample,) = drawn(metadata(folder, {**row, "text": "one"}), 1)
        assert sample.inputs == Inputs()
    # In a file of another name the column may be where a caption is from.
    (sample,) = drawn(written(folder, {"file_name": "a.png", "text": "one"}), 1)
    assert sample.inputs == Inputs()
    # What is called an image is the image.
    (sample,) = drawn(metadata(folder, {"file_name": "a.png", "image": "b.png", "text": "one"}), 1)
    assert sample.inputs == Inputs(image=str(folder / "b.png"))


# What is refused before anything runs


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": "absent.png"}, r"row 1: found no file \S+absent\.png; expected an image; add it"),
        ({"image": None}, r"row 1: found None in column 'image', expected the path of an image"),
        ({"image": " "}, r"row 1: found ' ' in column 'image'"),
        ({"image": "https://x.org/a.png"}, r"row 1: found 'https://x.org/a.png' in column 'image'.*download or write"),
        ({"image": "data:image/png;base64,iVBO"}, r"row 1: found 'data:image.*expected the path of a file"),
        ({"image": "iVBO" * 2000}, r"row 1: found 'iVBO\S+\.\.\. in column 'image', expected the path of a file"),
        ({"image": 3}, r"row 1: found 3 in column 'image'"),
        ({"image": "text.png"}, r"row 1: found the file \S+text\.png, which is no whole image \(.*\); expected one"),
        ({"image": "half.png"}, r"row 1: found the file \S+half\.png, which is no whole image"),
        ({"image": "half.jpg"}, r"row 1: found the file \S+half\.jpg, which is no whole image \(.*truncated"),
        ({"image": "wide.png"}, r"row 1: found image of 16 x 8 pixels, mask_image of 8 x 8 pixels, expected one size"),
        (
            {"image": "wide.png", "mask": "wide.png"},
            r"row 1: found image of 16 x 8 .*, and image of 8 x 8 .* in row 0; expected one size.*--batch-size 1",
        ),
        ({"label": "cat"}, r"row 1: found 'cat' in column 'label', expected the number of a class, from 0; correct"),
        ({"label": 1.5}, r"row 1: found 1\.5 in column 'label'"),
        ({"label": -1}, r"row 1: found -1 in column 'label'"),
        ({"label": True}, r"row 1: found True in column 'label'"),
        ({"label": None}, r"row 1: found None in column 'label'"),
    ],
)  # fmt: skip
def test_an_input_that_cannot_be_used_is_refused_with_its_row(
    folder: Path, row: dict[str, Any], message: str
) -> None:
    good = {"prompt": "one", "image": "a.png", "mask": "a_mask.png", "label": 3}
    source = written(folder, good, {**good, "prompt": "two", **row})
    with pytest.raises(UsageProblem, match=message) as refused:
        check(source)
    assert str(refused.value).startswith(f"--prompts {source}: ")
    check(source, inputs=("none",))
    with pytest.raises(UsageProblem, match=message):  # a folder's rows are only looked at when they are drawn
        draw_samples(load_prompts(source), 2, 0)


def test_images_of_several_sizes_may_be_generated_one_by_one(folder: Path) -> None:
    source = written(folder, {"prompt": "one", "image": "a.png"}, {"prompt": "two", "image": "wide.png"})
    check(source, one_size=False)
    with pytest.raises(UsageProblem, match="give --batch-size 1"):
        check(source)


def test_class_labels_without_texts_are_refused(folder: Path) -> None:
    source = written(folder, {"class_labels": 3})
    with pytest.raises(
        UsageProblem,
        match=r"found class labels in column 'class_labels' without their texts.*expected a column prompt next to it",
    ):
        check(source)


def test_bytes_that_are_no_image_are_refused_with_their_row(folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    cells = [{"bytes": encoded(picture(1)), "path": None}, {"bytes": b"no picture", "path": None}]
    parquet.write_table(pyarrow.table({"prompt": ["one", "two"], "image": cells}), folder / "p.parquet")
    with pytest.raises(UsageProblem, match=r"row 1: found bytes in column 'image', which is no whole image"):
        check(str(folder / "p.parquet"))


def test_the_files_of_a_folder_of_rows_lie_inside_of_it(folder: Path) -> None:
    (folder / "rows").mkdir()
    written(folder / "rows", {"prompt": "one", "image": "../a.png"})
    with pytest.raises(UsageProblem, match=r"row 0: found the file \S+, expected one inside of the folder"):
        drawn(str(folder / "rows"), 1)
    picture(1).save(folder / "rows/a.png")
    written(folder / "rows", {"prompt": "one", "image": "a.png"})
    assert drawn(str(folder / "rows"), 1)[0].inputs.image == str(folder / "rows/a.png")


def test_paths_in_a_dataset_of_the_hub_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    rows = datasets.Dataset.from_dict({"prompt": ["one"], "image": ["a.png"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda _: datasets.DatasetDict(train=rows))
    with pytest.raises(UsageProblem, match=r"row 0: found the path a\.png in a dataset of the hub"):
        drawn("someone/pairs", 1)


# --prompts-inputs


def test_only_the_inputs_that_are_wanted_are_taken(folder: Path) -> None:
    source = written(folder, {"prompt": "one", "image": "a.png", "mask": "a_mask.png"})
    assert drawn(source, 1, inputs=("image",))[0].inputs == Inputs(image=str(folder / "a.png"))
    assert drawn(source, 1, inputs=("none",))[0].inputs == Inputs()
    with pytest.raises(
        UsageProblem, match=r"--prompts-inputs class_label: found the columns prompt, image, mask"
    ):
        check(source, inputs=("class_label",))
    with pytest.raises(UsageProblem, match="found none next to others, expected it alone"):
        check(source, inputs=("image", "none"))


# What identifies a sample


def test_further_samples_repeat_the_inputs_with_new_seeds(folder: Path) -> None:
    stream = SampleStream(tuple(drawn(written(folder, {"prompt": "one", "image": "a.png"}), 1)), 0)
    assert stream.at(1).inputs == stream.at(0).inputs
    assert stream.at(1).seed != stream.at(0).seed


def keys_of(samples: list[Sample]) -> list[str]:
    """Return the keys under which a run keeps the images and embeddings of two samples."""
    keys: list[str] = []

    def once(key: Any, make: Any) -> dict[str, Any]:
        keys.append(json.dumps(key))
        return {"0": None, "1": None} if key[0] == "images" else {"rows": np.ones((2, 2), np.float32)}

    def once_json(key: Any, make: Any) -> Any:
        keys.append(json.dumps(key))
        return make()

    cache: Any = SimpleNamespace(key=lambda *parts: parts, once=once, once_json=once_json)
    references = References(cache, SimpleNamespace())
    references.baseline_identity = lambda baseline: []
    references.baseline_outputs(SimpleNamespace(), samples, list)
    scoring = Scoring(SimpleNamespace(), "clip", cache)
    scoring.measure = lambda names, images, references: ({}, {})
    scoring._embed_images = lambda images: np.ones((2, 2), np.float32)
    images = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 2
    scores = scoring.compare(samples, images, images, baseline_identity=[], seed=0)
    assert [row["image"] for row in scores.rows] == ["a.png", "b.png"]
    return keys


def test_what_a_run_keeps_is_known_by_the_content_of_the_images(folder: Path) -> None:
    source = written(folder, {"prompt": "a", "image": "a.png"}, {"prompt": "b", "image": "b.png"})
    samples = drawn(source, 2)
    first = keys_of(samples)
    assert keys_of(samples) == first
    picture(5).save(folder / "b.png")
    assert all(now != then for now, then in zip(keys_of(samples), first, strict=True))


@pytest.mark.parametrize("named_in", ["a column", "a folder"])
def test_results_are_not_reused_when_an_image_has_changed(folder: Path, named_in: str) -> None:
    if named_in == "a column":
        source, changed = written(folder, {"prompt": "one", "image": "a.png"}), folder / "a.png"
    else:
        source, changed = written(folder, {"prompt": "one"}), folder / "p.images/1.png"
        changed.parent.mkdir()
        picture(1).save(changed)
    assert named_files(source) == [changed]
    options = AccelerationOptions(prompts=source)
    setting = Setting(run=RunOptions(), given=frozenset(), directory=folder, workers=1)

    def fingerprint() -> dict[str, str]:
        return shared_fingerprint(KIND, options, setting, cores=1)

    first = fingerprint()
    assert fingerprint() == first
    picture(7, (16, 16)).save(changed)
    now = fingerprint()
    assert [name for name in first if first[name] != now[name]] == ["option prompts"]


def test_what_an_unusable_file_names_is_left_to_the_check(folder: Path) -> None:
    for source in (folder / "text.png", folder / "absent.jsonl", folder):
        assert named_files(str(source)) == []


# On the way to an arm


def test_an_arm_gets_the_pixels(folder: Path) -> None:
    samples = drawn(
        written(
            folder,
            *(
                {"prompt": name, "image": f"{name}.png", "mask": f"{name}_mask.png", "label": 2}
                for name in "ab"
            ),
        ),
        2,
    )
    found = unpack_inputs(*pack_inputs([sample.inputs for sample in samples]), 2)
    for number, one in enumerate(found):
        assert (one["image"].mode, one["mask_image"].mode, one["class_label"]) == ("RGB", "L", 2)
        np.testing.assert_array_equal(np.asarray(one["image"]), picture(number))
        np.testing.assert_array_equal(np.asarray(one["mask_image"]), picture(number, mode="L"))
    assert unpack_inputs(*pack_inputs([Inputs(), Inputs()]), 2) == [{}, {}]
