"""Thoughts are no answers, stop strings do not act inside them, and what was cut counts only if it was finished."""

from __future__ import annotations

import json

import pytest
from chat_models import Scripted
from language_toys import Place, keep_registered
from small_models import save_model
from transformers import AutoTokenizer

from bench.language.chat import (
    ChatStyle,
    Conversation,
    Marks,
    Parted,
    WrittenText,
    continued,
    parted,
    stop_place,
    written,
)
from bench.language.engine.generating import Generator, Request
from bench.language.library import DATASETS
from bench.language.record import Usage
from bench.language.report import headline, table_rows
from bench.language.spec import Generation

MARKS = Marks()
GENERATION = """
from bench.language.spec import Dataset, Examples, Generation, Source

DATASET = Dataset(
    source=Source(hub="nobody/toy", rows="toy"), prompt="Question: {q}\\nAnswer:", gold="gold",
    inference=Generation(max_out_len=20, stop=("\\n\\n", "Question:")), postprocess=("last_number",),
    metrics=("accuracy",),
)
"""


@pytest.mark.parametrize(
    ("text", "begun", "thought", "answer"),
    [
        ("no thought", False, None, "no thought"),
        ("<think>a</think>b", False, "a", "b"),
        ("<think>\na\n</think>\n\nb", False, "a", "b"),
        ("<think></think>b", False, "", "b"),
        ("first <think>a</think> second", False, "a", "first second"),
        ("<think>a</think>b<think>c</think>d", False, "a\nc", "bd"),
        ("a</think>b", False, "a", "b"),
        ("a</think>b", True, "a", "b"),
        ("<think>a</think>x</think>b", False, "a</think>x", "b"),
        ("<think>a <think> b</think>c", False, "a <think> b", "c"),
        ("<think>a", False, "a", None),
        ("a", True, "a", None),
        ("b <think>a", False, "a", None),
        ("<think>a</think>b<think>c", False, "a\nc", None),
        ("", True, "", None),
    ],
)
def test_a_text_is_parted_into_thought_and_answer(text, begun, thought, answer):
    assert parted(text, MARKS, begun) == Parted(thought, answer)


def test_a_text_is_added_to_what_is_asked_last():
    assert continued("Anna smiled at Ben because", " Anna") == "Anna smiled at Ben because Anna"
    asked = Conversation((("system", "Be brief."), ("user", "Anna smiled at Ben because")))
    assert continued(asked, " Ben").turns == (
        ("system", "Be brief."),
        ("user", "Anna smiled at Ben because Ben"),
    )


def test_marks_are_those_that_are_given_or_none():
    assert parted("[T]a[/T]b", Marks("[T]", "[/T]")) == Parted("a", "b")
    assert parted("***a***b", Marks("***", "***")) == Parted("a", "b")
    assert parted("<think>a", None) == Parted(None, "<think>a")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("one\n\ntwo", 3),
        ("<think>one\n\ntwo", None),
        ("<think>one\n\ntwo</think>\n\nthree", None),
        ("<think>one\n\ntwo</think>\n\nthree\n\nfour", 30),
        ("zero\n\n<think>one\n\ntwo</think>three", 4),
    ],
)
def test_a_stop_string_inside_a_thought_or_right_after_it_is_none(text, place):
    assert stop_place(text, ("\n\n",), MARKS) == place


def test_a_text_that_reached_its_stop_was_not_cut():
    assert written("12\n\n13", stops=("\n\n",), cut=True) == "12"
    assert not written("12\n\n13", stops=("\n\n",), cut=True).cut
    assert written("12", stops=("\n\n",), cut=True).cut


# --- in the engine -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    made = AutoTokenizer.from_pretrained(save_model(tmp_path_factory.mktemp("chat")))
    made.add_special_tokens({"additional_special_tokens": ["[T]", "[/T]"]})
    return made


def said(tokenizer, text, *, marks=MARKS, limit=200, begun=False, stop=("\n\n", "Question:")):
    model = Scripted(tokenizer, [text])
    (found,) = Generator(model, tokenizer, 0, 4, {"use_cache": False}).generate(
        [Request((3, 4), limit, stop, marks=marks, begun=begun)]
    )
    return found, model.steps


THOUGHT = "<think>I add.\n\nQuestion: what? 3 and 4.\n\nSo 7.</think>\n\n"


def test_an_answer_of_several_paragraphs_is_not_cut_by_a_stop_inside_its_thought(tokenizer):
    found, _ = said(tokenizer, THOUGHT + "The answer is 7.\n\nQuestion: more")
    assert (found, found.cut, found.unclosed) == ("The answer is 7.", False, False)
    assert found.thought == "I add.\n\nQuestion: what? 3 and 4.\n\nSo 7."


def test_a_stop_after_the_thought_ends_the_text_and_the_generation(tokenizer):
    _, short = said(tokenizer, THOUGHT + "It is 7.\n\nAnd on and on and on it goes for many more tokens.")
    _, whole = said(tokenizer, THOUGHT + "It is 7. And on and on and on it goes for many more tokens.")
    assert short < whole - 8


def test_a_thought_that_the_prompt_began_needs_no_opening_mark(tokenizer):
    found, _ = said(tokenizer, "3 and 4.\n\nSo 7.</think>It is 7.", begun=True)
    assert (found, found.thought) == ("It is 7.", "3 and 4.\n\nSo 7.")


def test_marks_that_are_special_tokens_are_seen(tokenizer):
    found, _ = said(tokenizer, "[T]3 and 4.\n\nSo 7.[/T]It is 7.", marks=Marks("[T]", "[/T]"))
    assert (found, found.thought) == ("It is 7.", "3 and 4.\n\nSo 7.")


def test_the_limit_is_told_from_the_models_own_end(tokenizer):
    ended, steps = said(tokenizer, "It is 7.")
    cut, _ = said(tokenizer, "It is 7.", limit=steps - 2)
    assert (ended.cut, cut.cut) == (False, True)
    thinking, _ = said(tokenizer, THOUGHT, limit=9)
    assert (thinking.cut, thinking.unclosed, thinking == "") == (True, True, True)


# --- in the record -----------------------------------------------------------------------------------------------


class Writer:
    """Writes what it is told, one text for each question."""

    fingerprint, dtype, max_len = "writer", "float32", None

    def __init__(self, texts, chat=None):
        self.chat, self._texts, self.stops, self.prompts = chat, list(texts), [], []

    def generate(self, prompts, max_out_len, stop, seeds, done):
        self.stops.append(tuple(stop))
        for index, prompt in enumerate(prompts):
            self.prompts.append(prompt)
            done(index, self._texts.pop(0))

    def lengths(self, texts):
        return [1 for _ in texts]

    def usage(self):
        return Usage()


@pytest.fixture
def place(tmp_path, monkeypatch):
    keep_registered(monkeypatch, DATASETS)
    made = Place(tmp_path)
    made.declare(GENERATION)
    return made


def test_cut_and_thinking_answers_count_as_unparsed_and_stand_in_record_table_and_predictions(place):
    place.write([{"q": f"{i}", "gold": "7.0"} for i in range(5)])
    texts = [
        WrittenText("#### 7", "3 and 4"),
        WrittenText("The answer is 7. This is because", cut=True),
        WrittenText("I add 3 and 4, which is 7", cut=True),
        WrittenText("", "The answer is 7", unclosed=True, cut=True),
        WrittenText("Some more words, 12"),
    ]
    evaluation = place.evaluation(Writer(texts), case={"mode": "gen"})
    evaluation.run()
    score = evaluation.record.score
    assert (score.value, score.n, score.unparsed, score.cut) == (40.0, 5, 2, 3)
    assert "2 unparsed, 3 cut" in headline(evaluation.record)
    assert any("2 unparsed, 3 cut" in cell for row in table_rows([evaluation.record]) for cell in row)
    assert "2 unparsed, 3 cut" in evaluation.record.reason
    assert evaluation.record.to_json()["score"]["cut"] == 3
    path = place.root / "run/predictions/toy/toy.jsonl"
    stored = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["cut"] for line in stored] == [False, True, True, True, False]
    assert stored[0]["thought"] == "3 and 4"
    assert [line.get("unclosed", False) for line in stored] == [False, False, False, True, False]


def test_stop_strings_belong_to_the_type_of_model(place):
    place.write([{"q": "1", "gold": "7"}])
    base, chat = Writer([WrittenText("7")]), Writer([WrittenText("7")], chat=ChatStyle())
    place.evaluation(base, case={"mode": "gen"}).run()
    place.evaluation(chat, run="chat", case={"mode": "gen"}).run()
    assert (base.stops, chat.stops) == ([("\n\n", "Question:")], [()])
    assert Generation(stop=("a",), chat_stop=("b",)).stops(chat=True) == ("b",)


def test_right_answers_are_written_as_predictions_are(place):
    place.write([{"q": "1", "gold": gold} for gold in ("7.0", "$7", "7.", "14/2")])
    evaluation = place.evaluation(Writer([WrittenText("It is 7.")] * 4), case={"mode": "gen"})
    evaluation.run()
    assert evaluation.record.score.value == 100.0


def test_examples_of_a_chat_are_turns_after_the_system_prompt_or_text_of_one(place):
    place.declare(GENERATION.replace('gold="gold",', 'gold="gold", examples=Examples("fixed", 2),'))
    place.write([{"q": "9", "gold": "7"}])
    (place.data / "toy.train.jsonl").write_text(
        "".join(json.dumps({"q": f"{i}", "gold": f"{i}{i}"}) + "\n" for i in (1, 2))
    )
    chat = Writer([WrittenText("7")], chat=ChatStyle("Be brief."))
    place.evaluation(chat, case={"mode": "gen"}).run()
    assert chat.prompts[0].messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Question: 1\nAnswer:"},
        {"role": "assistant", "content": "11"},
        {"role": "user", "content": "Question: 2\nAnswer:"},
        {"role": "assistant", "content": "22"},
        {"role": "user", "content": "Question: 9\nAnswer:"},
    ]
    (line,) = (place.root / "run/predictions/toy/toy.jsonl").read_text().splitlines()
    assert json.loads(line)["messages"] == chat.prompts[0].messages()
    text = Writer([WrittenText("7")], chat=ChatStyle(turns=False))
    place.evaluation(text, run="text", case={"mode": "gen"}).run()
    assert text.prompts[0].startswith("Question: 1\nAnswer: 11\n\n")
