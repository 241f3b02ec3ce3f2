"""tiny-lm and its rows: evaluation rows are held out, files are reproduced, the training script works."""

import hashlib
import importlib
import json
import random
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ZOO = REPOSITORY / "fixtures" / "zoo"
ROWS = REPOSITORY / "fixtures" / "datasets" / "language"
SOURCES = sorted(file.name.removesuffix(".train.jsonl") for file in ROWS.glob("*.train.jsonl"))
DATASETS = sorted(
    file.stem
    for file in (REPOSITORY / "bench" / "language" / "datasets").glob("*.py")
    if file.stem != "__init__"
)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing that the zoo needs is on a hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def read(name: str) -> list[dict]:
    """Rows of a shipped file."""
    return [json.loads(line) for line in (ROWS / name).read_text(encoding="utf-8").splitlines()]


def without_mark(rows: list[dict]) -> set[str]:
    """Rows as texts that can be compared."""
    assert all(row["synthetic"] is True for row in rows)
    return {json.dumps(row, sort_keys=True) for row in rows}


# Rows


def test_rows_are_reproduced_byte_for_byte(tmp_path):
    from fixtures.datasets.language import make_rows

    make_rows.write(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    shipped = {file.name: file.read_bytes() for file in ROWS.glob("*.jsonl")}
    assert made.keys() == shipped.keys()
    assert [name for name in made if made[name] != shipped[name]] == []
    assert sum(map(len, shipped.values())) <= 1_500_000


@pytest.mark.parametrize("source", SOURCES)
def test_no_evaluated_row_is_in_training(source):
    from fixtures.datasets.language import make_rows

    evaluated = without_mark(read(f"{source}.jsonl"))
    assert 60 <= len(evaluated) <= 120
    assert not evaluated & without_mark(read(f"{source}.train.jsonl"))
    for seed in (7, 8):
        assert not evaluated & without_mark(make_rows.rows(source, "train", 3000, seed=seed, distinct=False))


@pytest.mark.parametrize("source", ["mmlu", "triviaqa"])
def test_no_evaluated_wording_of_a_fact_is_trained_on_in_either_form(source):
    from fixtures.datasets.language import make_rows

    asked = {row["question"] for row in read(f"{source}.jsonl")}
    for other in ("mmlu", "triviaqa"):
        trained = {row["question"] for row in make_rows.rows(other, "train", 3000, distinct=False)}
        assert not asked & trained


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_file_can_ask_its_rows(name):
    from fixtures.zoo import train_tiny_lm

    dataset = importlib.import_module(f"bench.language.datasets.{name}").DATASET
    asked = [train_tiny_lm.Asked(dataset, row) for row in read(f"{dataset.source.rows}.jsonl")]
    for one in asked:
        # Prompt and answer meet at one blank.
        assert one.prompt.endswith(" ") != one.answer[0].isspace() or not one.prompt
        text = train_tiny_lm.join(dataset, [one, one])
        assert [text.text[begin:end].strip() for begin, end in text.answers] == [one.answer.strip()] * 2
    if dataset.choices:
        golds = [one.gold for one in asked]
        kinds = len(asked[0].choices)
        assert all(golds.count(index) >= len(golds) / kinds / 2 for index in range(kinds))


@pytest.mark.parametrize("source", SOURCES)
def test_a_third_of_the_evaluated_rows_is_of_each_level_and_unseen_things_are_in_no_training_row(source):
    from fixtures.datasets.language import make_rows

    draw = make_rows.SOURCES[source]
    rng = random.Random(3)
    unseen = {held for _ in range(300) for held, _ in [draw(rng, make_rows.UNSEEN)]}
    of_words = {
        "winograd", "winogrande", "piqa", "hellaswag", "arc_easy", "arc_challenge", "mmlu", "triviaqa",
    }  # fmt: skip
    assert unseen == ({True} if source in of_words else {True, False})
    drawn = []
    counted = dict(make_rows.SOURCES)
    counted[source] = lambda generator, level: drawn.append(level) or draw(generator, level)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_rows, "SOURCES", counted)
        count = len(make_rows.rows(source, "evaluation", 30))
    assert count == 30
    assert set(drawn) == set(make_rows.LEVELS)


def test_sums_of_every_level_are_right():
    for row in read("gsm8k.jsonl") + read("gsm8k.train.jsonl"):
        *steps, last = row["answer"].split("\n")
        results = [step.split(" = ") for step in steps]
        assert all(eval(sum_) == int(result) >= 0 for sum_, result in results)
        assert last == f"#### {results[-1][1]}"
        assert set(re.findall(r"\d+", row["question"])) <= set(re.findall(r"\d+", row["answer"]))


def test_the_answer_about_a_thing_with_several_owners_is_that_of_its_owner():
    for row in read("boolq.jsonl"):
        thing, state = re.fullmatch(r"is the (.+) (\w+)", row["question"]).groups()
        name, _, owner = thing.partition(" of ")
        whose = f" of {owner}" if owner else r"(?: of \w+)?"
        said = re.search(rf"{name}{whose} is (\w+)", row["passage"], re.IGNORECASE)
        assert row["label"] == int(said[1] == state), row


# Training


def test_a_short_training_writes_a_model_that_loads(tmp_path, one_thread):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from fixtures.zoo import train_tiny_lm

    train_tiny_lm.train(tmp_path / "tiny-lm", steps=2, threads=1)
    train_tiny_lm.refine(tmp_path / "tiny-lm", steps=1, threads=1)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny-lm", dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tiny-lm")
    facts = json.loads((tmp_path / "tiny-lm" / "training.json").read_text(encoding="utf-8"))
    assert (facts["steps"], facts["refining_steps"]) == (2, 1)
    assert tokenizer.pad_token_id is not None
    for text in ("Which of these is an animal?", "Zwölf 42\n\ta"):
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    logits = model(**tokenizer("Anna has 3 cups.", return_tensors="pt", return_token_type_ids=False)).logits
    assert logits.isfinite().all()
    assert logits.shape[-1] == len(tokenizer)


def test_the_loss_counts_answers_and_the_end_fully():
    import random

    from fixtures.zoo import train_tiny_lm

    tokenizer = train_tiny_lm.build_tokenizer()
    text = train_tiny_lm.Text("Answer: B\n\nAnswer: yes", ((7, 9), (18, 22)))
    rng = random.Random(0)
    for encoded in (train_tiny_lm.encode(tokenizer, [text], rng)[0] for _ in range(20)):
        full = [token for token, weight in zip(encoded.ids, encoded.weights, strict=True) if weight == 1.0]
        assert tokenizer.decode(full) == " B yes</s>"
        assert encoded.weights[0] == 0.0


# Files


def test_the_shipped_model_is_small_and_measured_on_every_dataset():
    directory = ZOO / "tiny-lm"
    assert sum(file.stat().st_size for file in directory.iterdir()) < 8_000_000
    assert json.loads((directory / "figures.json").read_text(encoding="utf-8")).keys() == set(DATASETS)


def test_the_shipped_model_is_better_than_guessing_on_every_dataset_and_perfect_on_none():
    from fixtures.zoo import train_tiny_lm

    figures = json.loads((ZOO / "tiny-lm" / "figures.json").read_text(encoding="utf-8"))
    assert not train_tiny_lm.unlearnt(figures)
    shares = [figure["right"] for figure in figures.values() if "right" in figure]
    # Rows that a model answers without fail, or never, tell no two models apart.
    assert sum(0.4 <= share <= 0.95 for share in shares) >= 0.75 * len(shares)
    assert min(shares) > 0
    assert max(shares) < 1


def test_a_model_that_guesses_is_named_as_one_that_has_not_learnt():
    from fixtures.zoo import train_tiny_lm

    figures = {
        "siqa_gen": {"right": 0.4, "chance": 1 / 3, "rows": 100},
        "piqa_ll": {"right": 0.6, "chance": 0.5, "rows": 1000},
    }
    assert train_tiny_lm.unlearnt(figures | {"lambada_rolling": {"bits_per_byte": 0.3}}) == ["siqa_gen"]


def test_the_card_states_the_weights_that_are_there():
    card = (ZOO / "tiny-lm" / "README.md").read_text(encoding="utf-8")
    weights = (ZOO / "tiny-lm" / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in card
