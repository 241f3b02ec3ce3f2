"""Prompts from every kind of file, each bad input with its message; and the samples drawn from them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.acceleration import prompts
from bench.acceleration.prompts import (
    PromptTable,
    Sample,
    SampleStream,
    check_prompts,
    generator_seed,
)
from bench.core.errors import UsageProblem

CAPTIONS = ["a red circle", "a blue, round ring", "ein grünes Dreieck"]
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_cache_of_datasets(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def dataset(**columns):
    import datasets

    return datasets.Dataset.from_dict(columns or {"caption": CAPTIONS})


def load_prompts(source, **options):
    return prompts.load_prompts(source, **options).prompts


def draw_samples(texts, count, seed):
    return prompts.draw_samples(PromptTable(texts), count, seed)


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def save_jsonl(path):
    path.write_text(lines({"caption": caption} for caption in CAPTIONS), encoding="utf-8")


def save_json(path):
    path.write_text(json.dumps([{"caption": caption} for caption in CAPTIONS]))


def save_directory(path):
    path.mkdir()
    save_jsonl(path / "train.jsonl")


# Loading


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("p.jsonl", save_jsonl),
        ("p.json", save_json),
        ("p.csv", lambda path: dataset().to_csv(path)),
        ("p.parquet", lambda path: dataset().to_parquet(path)),
        ("saved", lambda path: dataset().save_to_disk(path)),
        ("directory", save_directory),
    ],
)
def test_prompts_are_read_from(name, save, tmp_path):
    save(tmp_path / name)
    assert load_prompts(str(tmp_path / name)) == CAPTIONS


PUBLISHED = {
    "header.tsv": 'Prompt\tCategory\tNote\na red circle\tShapes\t\n"a" blue ring\tShapes\tquoted\n',
    "bare.tsv": '0001\ta red circle\n0002\t"a" blue ring\n',
    "one.tsv": 'a red circle\n"a" blue ring\n',
    "lines.txt": '\ufeffa red circle\n\n  "a" blue ring \r\n',
    "draw.csv": 'Prompts,Category\na red circle,Colors\n"""a"" blue ring",Colors\n',
    "written.tsv": 'id\tPrompt \n1\t"a red circle"\n2\t"""a"" blue ring"\n',
    "old.txt": 'a red circle\r"a" blue ring\r',
    "numbered.csv": ',Prompt,Label\n0,a red circle,NA\n1,"""a"" blue ring",3\n',
    "hps.json": json.dumps(["a red circle", '"a" blue ring']),
    "columns.json": json.dumps({"id": [1, 2], "prompts": ["a red circle", '"a" blue ring']}),
    "frame.json": json.dumps({"id": {"0": 7, "1": 8}, "prompt": {"0": "a red circle", "1": '"a" blue ring'}}),
    "mjhq.json": json.dumps(
        {"d1f4": {"category": "art", "prompt": "a red circle"}, "9c03": {"prompt": '"a" blue ring'}}, indent=1
    ),
    "by_name.json": json.dumps({"0": "a red circle", "1": '"a" blue ring'}),
    "captions_val.json": json.dumps(
        {
            "info": {"year": 2014},
            "images": [{"id": 9}, {"id": 4}],
            "annotations": [
                {"image_id": 9, "id": 1, "caption": " a red circle "},
                {"image_id": 4, "id": 2, "caption": '"a" blue ring'},
                {"image_id": 9, "id": 3, "caption": "another caption of the first"},
            ],
        }
    ),
}


@pytest.mark.parametrize("name", ["p.json", *(name for name in PUBLISHED if name.endswith(".json"))])
def test_a_json_file_of_prompts_is_parsed_once(name, tmp_path, monkeypatch):
    save_json(tmp_path / "p.json")
    text = PUBLISHED.get(name) or (tmp_path / "p.json").read_text()
    (tmp_path / name).write_text(text, encoding="utf-8")
    parsed, loads = [], json.loads
    monkeypatch.setattr(
        json, "loads", lambda text, **options: (parsed.append(text), loads(text, **options))[1]
    )
    assert len(load_prompts(str(tmp_path / name))) == len(CAPTIONS if name == "p.json" else "ab")
    assert parsed == [text]


def test_rows_of_a_json_list_may_lack_what_others_have(tmp_path):
    (tmp_path / "p.json").write_text('[{"id": 1, "caption": "a cat"}, {"caption": "a dog", "note": null}]')
    assert load_prompts(str(tmp_path / "p.json")) == ["a cat", "a dog"]
    (tmp_path / "p.json").write_text('[{"caption": "a cat"}, {"id": 1}]')
    with pytest.raises(UsageProblem, match=r"row 1 has no text in column 'caption' \(found None\)"):
        load_prompts(str(tmp_path / "p.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["a cat", {"prompt": "a dog"}]', "entry 0 of the list is no object"),
        ('[{"prompt": "a dog"}, 3]', "entry 1 of the list is no object"),
        ("[]", "found no rows"),
        ("[{}]", "found the columns"),
        ('[{"prompt": "a", "prompt": "b"}]', "found 'prompt' twice in an object"),
        ('[{"prompt": "a"}', "this is not JSON"),
    ],
)
def test_a_json_list_that_is_no_rows_is_refused_as_before(text, message, tmp_path):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UsageProblem, match=message):
        load_prompts(str(tmp_path / "p.json"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_files_of_prompts_are_read_in_the_forms_in_which_they_are_published(name, tmp_path):
    (tmp_path / name).write_text(PUBLISHED[name], encoding="utf-8")
    assert load_prompts(str(tmp_path / name)) == ["a red circle", '"a" blue ring']


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "p.tsv",
            "a red circle\ta round thing\na blue ring\ta hole\n",
            "2 columns without a header, of which 2 hold sentences",
        ),
        ("p.tsv", "1\t2\n3\t4\n", "of which 0 hold sentences.*add a header with caption or"),
        ("p.tsv", "prompt\tnote\n\na red circle\n", "line 3: found 1 fields, expected 2"),
        (
            "p.tsv",
            "sentence\na red circle\na blue ring\n",
            "line 1: found 'sentence' above sentences, which may be a header or a prompt",
        ),
        (
            "p.tsv",
            "image\tsentence\na.png\ta red circle\nb.png\ta blue ring\n",
            "found the columns image, sentence",
        ),
        ("p.csv", "prompt\na red circle, filled\na blue ring, thin\n", "line 2: found 2 fields, expected 1"),
        ("p.csv", "id,prompt\n1,a red circle, filled\n2,a ring\n", "line 2: found 3 fields, expected 2"),
        ("p.csv", "id;prompt\n1;a red circle\n", "with semicolons, expected.*save it with commas"),
        ("p.csv", "prompt,prompt\na,b\n", "the column 'prompt' twice in the header"),
        ("p.csv", "a red circle\na blue ring\n", "found the columns a red circle, .*or add a header"),
        ("p.txt", '{"prompt": "a red circle"}\n', "a JSON object in each line, .*name it .jsonl"),
        (
            "p.txt",
            "1. a red circle\n2. a blue ring\n",
            "found a number in front of each line.*leave that out",
        ),
        ("p.txt", "- a red circle\n- a blue ring\n", "found a mark in front of each line"),
        ("p.txt", '"a red circle",\n"a blue ring"\n', "found quotation marks around each line"),
        ("p.txt", "1\ta red circle\n2\ta blue ring\n", "columns separated by tabs.*name it .tsv"),
        ("p.txt", "id,prompt\n1,a red circle\n", "found the header 'id,prompt'.*name it .csv"),
        ("p.txt", "<!DOCTYPE html><html>404</html>", "found a web page"),
        ("p.txt", "a\0 \0r\0e\0d\0", "line 1: found a zero byte.*save it as UTF-8"),
        ("p.json", '{"prompt": ["a", "b"], "id": [1]}', "2 entries in 'prompt' and 1 in 'id'"),
        ("p.json", '{"prompts": []}', "found no rows in 'prompts'"),
        ("p.json", '{"annotations": [{"image_id": 1, "category_id": 3}]}', "give COCO's file of captions"),
        ("p.jsonl", '{"prompt": "a \\ud83d cat"}\n', "row 0 has half of a character"),
        ("p.tsv", "prompt\tnote\n", "no rows below the header"),
        ("p.tsv", " \n", "only blank lines.*expected rows separated by tabs"),
        ("p.txt", "", "the file is empty; expected a prompt a line"),
        (
            "p.json",
            '{"annotations": [{"image_id": 1}]}',
            "an annotation .0. without an image_id or a caption",
        ),
        ("p.json", '{"annotations": []}', "found no captions"),
        ("p.json", '{"annotations": 3}', "COCO's form"),
    ],
)
def test_a_file_in_none_of_these_forms_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageProblem, match=message):
        load_prompts(str(tmp_path / name))


def test_a_header_of_tabs_is_known_by_the_column_that_is_named(tmp_path):
    (tmp_path / "p.tsv").write_text("id\tSentence\n1\ta red circle\n2\ta blue ring\n")
    assert load_prompts(str(tmp_path / "p.tsv"), column="Sentence") == ["a red circle", "a blue ring"]


def test_texts_of_a_table_stay_as_they_are_written(tmp_path):
    (tmp_path / "p.csv").write_text('prompt\n1984\nNA\nTrue\n"one,\ntwo"\n')
    assert load_prompts(str(tmp_path / "p.csv")) == ["1984", "NA", "True", "one,\ntwo"]


def test_marks_around_one_caption_alone_are_its_own(tmp_path):
    (tmp_path / "p.tsv").write_text('id\tprompt\n1\t"a red circle"\n2\ta blue ring\n')
    assert load_prompts(str(tmp_path / "p.tsv")) == ['"a red circle"', "a blue ring"]


SPECIAL = ["p[x]", "p[1-3]*", "what?", "a::b", "{a,b}", "ö ü 🚀 [1]", "50 %", "a#b", "hf:--x"]


@pytest.mark.parametrize("name", SPECIAL)
def test_names_with_special_characters_are_names_and_no_patterns(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    for decoy in ("px", "p1", "whatx", "a", "b"):
        (tmp_path / decoy).mkdir(exist_ok=True)
        (tmp_path / decoy / "train.jsonl").write_text('{"caption": "another file"}\n')
        (tmp_path / f"{decoy}.jsonl").write_text('{"caption": "another file"}\n')
    for suffix in ("jsonl", "csv", "parquet"):
        file = tmp_path / f"{name}.{suffix}"
        plain = tmp_path / f"plain.{suffix}"  # datasets does not write to these names either
        save_jsonl(plain) if suffix == "jsonl" else getattr(dataset(), f"to_{suffix}")(plain)
        plain.rename(file)
        assert load_prompts(str(file)) == CAPTIONS
    save_jsonl(folder / "train.jsonl")
    assert load_prompts(str(folder)) == CAPTIONS
    dataset().save_to_disk(tmp_path / "saved")
    (tmp_path / "saved").rename(folder / "saved")
    assert load_prompts(str(folder / "saved")) == CAPTIONS


def test_a_table_with_a_byte_order_mark_has_the_column(tmp_path):
    (tmp_path / "p.csv").write_bytes('caption\n"eins, zwei"\n'.encode("utf-8-sig"))
    assert load_prompts(str(tmp_path / "p.csv")) == ["eins, zwei"]


def test_local_files_do_without_datasets_and_its_cache(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", None)
    save_json(tmp_path / "p.json")
    assert load_prompts(str(tmp_path / "p.json")) == CAPTIONS


def test_what_is_no_file_of_text_is_named(tmp_path):
    import gzip
    import os

    def refused(name, data):
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(UsageProblem) as problem:
            load_prompts(str(path))
        assert str(problem.value).startswith(f"--prompts {path}")
        assert "\n" not in str(problem.value)
        assert "Error" not in str(problem.value)
        return str(problem.value)

    text = lines([{"caption": caption} for caption in CAPTIONS])
    assert "found UTF-16 text, expected a .jsonl file of rows in UTF-8; save it as" in refused(
        "p.jsonl", text.encode("utf-16")
    )
    assert "line 3: this is not UTF-8" in refused("p.jsonl", text.encode("latin-1"))
    assert "found a gzip file" in refused("p.jsonl", gzip.compress(text.encode()))
    assert "found a .gz file, expected .jsonl, .json, .parquet, .csv, .tsv, .txt; convert it" in refused(
        "p.jsonl.gz", gzip.compress(text.encode())
    )
    assert "found a zip file, such as xlsx" in refused("p.csv", b"PK\x03\x04....")
    assert "line 3: found 2 fields, expected 1 as in the header" in refused("p.csv", b"caption\na\nb, c\n")
    assert "found text that is no table" in refused("q.csv", b'caption\n"a\n')
    assert "entry 1 of the list is no object" in refused("p.json", b'[{"caption": "a"}, "b"]')
    assert "line 2: this is not JSON" in refused("p.json", b'[{"caption": "a"},\n{]')
    whole = tmp_path / "whole.parquet"
    dataset().to_parquet(whole)
    assert "no parquet file, or only a part" in refused("part.parquet", whole.read_bytes()[:-10])
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert "found a pipe or device, expected a .jsonl file of rows; give the path" in refused(
        "pipe.jsonl", None
    )


def test_a_folder_that_cannot_be_loaded_says_what_is_wrong_and_not_in_which_code(tmp_path):
    (tmp_path / "d").mkdir()
    for name, data in (
        ("train.jsonl", "[]"),
        ("train.csv", "\n"),
        ("notes.md", "text"),
        ("train.parquet", "x"),
    ):
        for file in (tmp_path / "d").iterdir():
            file.unlink()
        (tmp_path / "d" / name).write_text(data)
        with pytest.raises(UsageProblem) as problem:
            load_prompts(str(tmp_path / "d"))
        message = str(problem.value)
        assert message.startswith(f"--prompts {tmp_path / 'd'}: ")
        assert "Error" not in message, message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no rows, the file is empty"),
        (" \n\n", "found no rows, it has only blank lines"),
        ('{"caption": "one"}\n', "--num-samples 2: the prompts have only 1 rows"),
        ('{"title": "one"}\n{"title": "two"}\n', "found the columns title, expected caption or"),
        ('{"caption": "one"}\n{"caption": "  "}\n', "row 1 has no text"),
    ],
)
def test_what_no_run_could_use_is_seen_early(tmp_path, text, message):
    file = tmp_path / "p.jsonl"
    file.write_text(text)
    with pytest.raises(UsageProblem, match=message):
        check_prompts(str(file), split=None, column=None, count=2)


def test_what_is_seen_early_loads_no_folder_and_asks_no_hub(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", None)
    save_directory(tmp_path / "d")
    check_prompts(str(tmp_path / "d"), split=None, column=None, count=2)
    check_prompts("someone/captions", split=None, column=None, count=2)
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageProblem, match="the folder is empty"):
        check_prompts(str(tmp_path / "none"), split=None, column=None, count=2)


def test_shipped_prompts_are_read():
    prompts = load_prompts(str(REPOSITORY / "fixtures/datasets/shapes_prompts.jsonl"))
    assert len(prompts) == 256
    assert all(prompt.startswith("a ") for prompt in prompts)


def test_of_several_captions_the_first_is_taken_without_blanks_around(tmp_path):
    (tmp_path / "p.jsonl").write_text(lines([{"captions": ["  one ", "two"]}, {"captions": ["three"]}]))
    assert load_prompts(str(tmp_path / "p.jsonl")) == ["one", "three"]


def test_column_is_the_first_known_one_or_the_one_that_is_named(tmp_path):
    (tmp_path / "p.csv").write_text("text,other,prompt\na,b,c\n")
    assert load_prompts(str(tmp_path / "p.csv")) == ["c"]
    assert load_prompts(str(tmp_path / "p.csv"), column="other") == ["b"]


@pytest.mark.parametrize(
    ("splits", "asked", "expected"),
    [
        (("train", "validation", "test"), None, "test"),
        (("train", "validation"), None, "validation"),
        (("extra", "train"), None, "train"),
        (("extra", "other"), None, "extra"),
        (("train", "test"), "train", "train"),
    ],
)
def test_split_is_the_one_asked_for_or_the_most_fitting(tmp_path, splits, asked, expected):
    import datasets

    datasets.DatasetDict({name: dataset(caption=[name]) for name in splits}).save_to_disk(tmp_path / "saved")
    assert load_prompts(str(tmp_path / "saved"), split=asked) == [expected]


def test_changed_file_is_read_again(tmp_path):
    for text in ("first", "second one"):
        (tmp_path / "p.jsonl").write_text(lines([{"caption": text}]))
        assert load_prompts(str(tmp_path / "p.jsonl")) == [text]


BAD_FILES = {
    "empty file": (
        "p.jsonl",
        "",
        {},
        r"found no rows, the file is empty; expected one JSON object to a line; add rows",
    ),
    "no JSON": (
        "p.jsonl",
        "no json\n",
        {},
        r"line 1: this is not JSON \(.*\); expected one object to a line; correct it",
    ),
    "JSON without rows": ("p.json", "[]", {}, r"found no rows; expected a JSON list of objects"),
    "no parquet": (
        "p.parquet",
        "no parquet",
        {},
        r"found no parquet file, or only a part of one, expected a whole one; write it again",
    ),
    "other suffix": (
        "p.docx",
        "a red circle\n",
        {},
        r"found a \.docx file, expected \.jsonl, \.json, \.parquet, \.csv",
    ),
    "no suffix": ("prompts", "a red circle\n", {}, r"found a nameless file, expected \.jsonl"),
    "no known column": (
        "p.csv",
        "a,b\n1,2\n",
        {},
        r"found the columns a, b, expected caption or captions or prompt or prompts or text",
    ),
    "column that is not there": (
        "p.csv",
        "text,b\nx,2\n",
        {"column": "c"},
        r"found the columns text, b, expected c; .*--prompts-column",
    ),
    "split that is not there": (
        "p.csv",
        "text\nx\n",
        {"split": "test"},
        r"found the splits train, expected 'test'; .*--prompts-split",
    ),
    "numbers": (
        "p.jsonl",
        '{"text": "x", "n": 2}\n',
        {"column": "n"},
        r"row 0 has no text in column 'n' \(found 2\); remove it",
    ),
    "blank text": (
        "p.jsonl",
        lines([{"text": "a"}, {"text": " "}]),
        {},
        r"row 1 has no text in column 'text' \(found ' '\)",
    ),
    "null": ("p.jsonl", lines([{"text": "a"}, {"text": None}]), {}, r"row 1 has no text.*\(found None\)"),
    "no caption": (
        "p.jsonl",
        lines([{"caption": ["a"]}, {"caption": []}]),
        {},
        r"row 1 has no text.*\(found \[\]\)",
    ),
    "row without the column": ("p.jsonl", lines([{"text": "a"}, {"other": "b"}]), {}, r"row 1 has no text"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_file_is_refused_with_what_was_found_and_expected(tmp_path, what):
    name, content, options, message = BAD_FILES[what]
    source = tmp_path / name
    source.write_text(content)
    with pytest.raises(UsageProblem, match=message) as refused:
        load_prompts(str(source), **options)
    assert str(refused.value).startswith(f"--prompts {source}")


@pytest.mark.parametrize("source", ["absent.jsonl", "./absent", "/absent", "~/absent", "../absent.parquet"])
def test_path_that_leads_nowhere_is_not_looked_for_on_the_hub(source, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(UsageProblem, match="no such file or directory; give a path or a hub name"):
        load_prompts(source)


def test_other_names_are_those_of_the_hub(monkeypatch):
    import datasets

    def load(name):
        if name != "someone/captions":
            raise ConnectionError("no network")
        return datasets.DatasetDict(train=dataset())

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert load_prompts("someone/captions") == CAPTIONS
    with pytest.raises(UsageProblem, match=r"--prompts someone/else.*\(no network\).*check the name and the"):
        load_prompts("someone/else")


def test_dataset_without_rows_or_without_splits_is_refused(tmp_path, monkeypatch):
    import datasets

    dataset().save_to_disk(tmp_path / "saved")
    with pytest.raises(UsageProblem, match=r"found one dataset without splits, expected 'test'"):
        load_prompts(str(tmp_path / "saved"), split="test")
    monkeypatch.setattr(datasets, "load_dataset", lambda _: dataset(caption=[]))
    with pytest.raises(UsageProblem, match="it has no rows; expected at least one prompt"):
        load_prompts("someone/nothing")
    (tmp_path / "empty").mkdir()
    monkeypatch.undo()
    with pytest.raises(UsageProblem, match="the folder is empty; expected files of rows"):
        load_prompts(str(tmp_path / "empty"))


# Samples


@given(st.integers(0, 2**40), st.integers(1, 30), st.data())
def test_samples_are_distinct_rows_with_distinct_seeds_and_repeatable(seed, rows, data):
    prompts = [f"prompt {row}" for row in range(rows)]
    count = data.draw(st.integers(1, rows))
    samples = draw_samples(prompts, count, seed)
    assert samples == draw_samples(prompts, count, seed)
    assert len({sample.prompt for sample in samples}) == len({sample.seed for sample in samples}) == count
    assert {sample.prompt for sample in samples} <= set(prompts)
    assert all(0 <= sample.seed < 2**31 for sample in samples)


def test_another_run_seed_draws_other_samples():
    prompts = [f"prompt {row}" for row in range(100)]
    one, other = draw_samples(prompts, 20, 0), draw_samples(prompts, 20, 1)
    assert [sample.prompt for sample in one] != [sample.prompt for sample in other]
    assert not {sample.seed for sample in one} & {sample.seed for sample in other}


def test_all_prompts_can_be_drawn_and_no_more():
    assert len(draw_samples(CAPTIONS, 3, 0)) == 3
    with pytest.raises(
        UsageProblem, match=r"--num-samples 4: the prompts have only 3 rows; lower it to 3 or less"
    ):
        draw_samples(CAPTIONS, 4, 0)


def test_generator_seeds_are_the_same_on_every_machine():
    # The first four bytes of `printf 0:$index | sha256sum`, halved.
    assert [generator_seed(0, index) for index in range(3)] == [1446583109, 2005510037, 1234457838]


def test_stream_goes_on_with_the_same_prompts_and_new_seeds():
    drawn = tuple(draw_samples(CAPTIONS, 3, 5))
    stream = SampleStream(drawn, 5)
    assert len(stream) == 3
    assert stream.take([0, 1, 2]) == list(drawn)
    further = stream.take(range(3, 9))
    assert [sample.prompt for sample in further] == [sample.prompt for sample in drawn] * 2
    assert len({sample.seed for sample in (*drawn, *further)}) == 9
    assert stream.at(3) == Sample(drawn[0].prompt, generator_seed(5, 3))
