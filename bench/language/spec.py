"""What a dataset file declares: where its rows are, what is asked, how the answer is inferred and scored.

A dataset file is a Python file that defines ``DATASET``; the dataset has the file's name. It imports this module and
nothing heavy, so that collecting stays fast. ``bench/language/datasets/siqa_gen.py`` is an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.language.judging.declared import Judging
from bench.language.judging.declared import Pairwise as Pairwise  # noqa: PLC0414  as below
from bench.language.judging.declared import Rubric as Rubric  # noqa: PLC0414  as below
from bench.language.labels import Labels as Labels  # noqa: PLC0414  dataset files import it from here
from bench.language.protocol import OWN_PROTOCOL, check_protocol

Row = dict[str, Any]
"""A row of a source, or what `prepare` makes of it: values by column. Its content is untrusted."""


def letter_of(index: int, count: int) -> str:
    """Return the letter of an option: A for 0.

    Args:
        index: of the option; Python would take a negative one from the end, and so another option.
        count: how many options there are.

    Raises:
        ValueError: an index that none of them has.
    """
    if not 0 <= index < count:
        raise ValueError(f"found option {index + 1} as the answer, expected one from 1 to {count}")
    return chr(ord("A") + index)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of a dataset are.

    Attributes:
        hub: name on the hub, for ``datasets.load_dataset``. Parquet or jsonl only, no scripts.
        rows: stem of local files with rows of the same form: ``<rows>.jsonl`` and ``<rows>.train.jsonl``.
        split: split that is evaluated.
        train_split: split that in-context examples come from; None if there is none.
        subset: configuration name on the hub.
        revision: revision on the hub; ``refs/convert/parquet`` if the main branch holds a script.
    """

    hub: str
    rows: str
    split: str = "validation"
    train_split: str | None = "train"
    subset: str | None = None
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """In-context examples before the question.

    Attributes:
        retriever: ``zero``, ``fixed``, ``random`` (seeded, different examples for each question), ``bm25``, ``sequence``
            (as lm-evaluation-harness draws them: one question after the other, from one generator with its own seed).
        count: how many.
        ids: rows of the training split, for ``fixed``; the first ``count`` rows if it is empty.
        separator: between examples, and between the last one and the question.
        instruction: template of the text before the first example, filled from the question's row; it stays when
            examples are dropped.
        within: field whose value examples share with the question, such as its subject; None takes all rows.
        template: template of an example with its answer, where it is not prompt, separator and answer.
    """

    retriever: Literal["zero", "fixed", "random", "bm25", "sequence"] = "zero"
    count: int = 0
    ids: tuple[int, ...] = ()
    separator: str = "\n\n"
    instruction: str = ""
    within: str | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """The model writes, and post-processors extract the answer.

    Attributes:
        max_out_len: new tokens at most.
        stop: strings at which the text of a base model ends; they are not part of it. None acts inside a thought.
        chat_stop: the same for a chat model. Its answers end by themselves and have several paragraphs, so usually none.
    """

    max_out_len: int = 50
    stop: tuple[str, ...] = ()
    chat_stop: tuple[str, ...] = ()
    kind: str = field(default="gen", init=False)

    def stops(self, chat: bool) -> tuple[str, ...]:
        """Return the stop strings of a type of model."""
        return self.chat_stop if chat else self.stop


@dataclass(frozen=True, slots=True)
class Perplexity:
    """The choice whose whole text, prompt included, has the lowest mean cross-entropy per token (OpenCompass).

    Attributes:
        normalizer: template of a text. With it, a choice's score is that of prompt and choice with the prompt masked,
            minus that of normaliser and choice with the normaliser masked.
    """

    normalizer: str | None = None
    kind: str = field(default="ppl", init=False)


@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """The choice with the highest log-likelihood given the prompt.

    ``sum``, ``char`` (per character) and ``byte`` (per UTF-8 byte) need one pass. ``unconditional`` (minus the
    log-likelihood given ``unconditional_prompt``) needs a second one.

    Attributes:
        rule: which of them decides the prediction.
        unconditional_prompt: a prompt that says nothing about the question.
    """

    rule: Literal["sum", "char", "byte", "unconditional"] = "sum"
    unconditional_prompt: str = "Answer:"
    kind: str = field(default="ll", init=False)


@dataclass(frozen=True, slots=True)
class PartialLogLikelihood:
    """The choice after which the rest of the text is most likely: each choice follows the prompt, and all have one ending.

    Source: Trinh and Le 2018, partial scoring.

    Attributes:
        ending: template of the rest of the text, with the space before it.
    """

    ending: str
    kind: str = field(default="ll", init=False)


@dataclass(frozen=True, slots=True)
class Cloze:
    """The log-likelihood of the right answer after the prompt, and whether the model would write just that.

    The answer is a text; there are no choices. Metrics: ``accuracy`` (each token was the most likely one) and
    ``perplexity`` (the exponential of the mean negative log-likelihood per answer).
    """

    kind: str = field(default="ll", init=False)


@dataclass(frozen=True, slots=True)
class SingleToken:
    """The choice whose first token is the most likely one; all choices must begin with different tokens."""

    kind: str = field(default="clp", init=False)


@dataclass(frozen=True, slots=True)
class Rolling:
    """The log-likelihood of the whole text, window by window: perplexity per word, per byte, bits per byte.

    Attributes:
        counted: field with the text whose words and bytes are counted, where it is not the one that is scored.
        special: whether special tokens that the tokenizer adds to a text are scored too, after a start token of their
            own, as lm-evaluation-harness scores them.
    """

    counted: str | None = None
    special: bool = False
    kind: str = field(default="rolling", init=False)


ByChoice = Perplexity | LogLikelihood | PartialLogLikelihood | SingleToken
Inference = Generation | ByChoice | Cloze | Rolling


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric that reads a generated text in its own way.

    Attributes:
        metric: name of a registered metric.
        postprocess: names of post-processors, in place of the dataset's own.
    """

    metric: str
    postprocess: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset, read, asked and scored in one way.

    Templates are filled by ``str.format`` from the fields of a row, after ``prepare``.

    Attributes:
        source: where the rows are.
        prompt: template of the text before the answer, without a trailing space.
        inference: how the answer is obtained.
        gold: field of the prepared row with the right answer: the index of the right choice for inference by choices,
            a text or a list of texts for generation, the whole text for ``rolling``.
        choices: templates of the choices, each with the space or newline that separates it from the prompt; or the
            name of a field with the list of choices, each of which ``separator`` then precedes.
        separator: between the prompt and a choice from a field, and between prompt and answer of an example.
        labels: the form of the labels in the source. ``prepare`` and ``gold`` then find the index of an option, from 0, in
            the field of the label. Without it, labels of choices are indices, from 0.
        optional: fields of the source that are read as empty texts where they are null or absent; any other null cell is
            refused where it is used.
        prepare: turns a row of the source into the fields that templates use. May raise ValueError for a bad row.
        examples: in-context examples.
        answer: template of the answer of an in-context example of a generation. None is the first gold text.
        postprocess: names of post-processors of a generation, applied in this order.
        metrics: names of metrics; the first one is the dataset's score. They may be none where there is a judge.
        readings: names in `metrics` that are no registered metric, and what they stand for: several ways to read one
            generated text.
        judge: asks a model about each generated answer, `Rubric` or `Pairwise`. Its metrics follow the others.
        group: field with the part of the dataset that a row belongs to, such as its subject: in the source, where each part
            has its share of the sample of ``--limit``, and in the prepared row. The record then has the score of each part.
        protocol: what decides whether a score compares with published ones: ``lm-eval:TASK@VERSION``,
            ``opencompass:CONFIGURATION``, or ``own``.
        circular: ask each question once for each rotation of the list in the field ``options``; ``gold`` moves along.
            A question counts as right only if all of its rotations are.
        version: raise it whenever a change above changes what is measured.
    """

    source: Source
    prompt: str
    inference: Inference
    gold: str = "gold"
    choices: tuple[str, ...] | str = ()
    separator: str = " "
    labels: Labels | None = None
    optional: tuple[str, ...] = ()
    prepare: Callable[[Row], Row] | None = None
    examples: Examples = Examples()
    answer: str | None = None
    postprocess: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("accuracy",)
    readings: Mapping[str, Reading] = field(default_factory=dict)
    judge: Judging | None = None
    group: str | None = None
    protocol: str = OWN_PROTOCOL
    circular: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a declaration that cannot be evaluated.

        Raises:
            ValueError: inference by choices without choices, no metric, readings of what is not generated, or a protocol
                of no known form.
        """
        check_protocol(self.protocol)
        if isinstance(self.inference, ByChoice) and not self.choices:
            raise ValueError(
                f"found no choices, expected some for inference {self.inference.kind!r}; declare `choices`"
            )
        if self.judge is not None and (not isinstance(self.inference, Generation) or self.circular):
            raise ValueError(
                "found a judge of answers that are chosen, expected one of generated texts, each question asked in one way; "
                "use inference=Generation(...), or leave the judge out"
            )
        if not self.metrics and self.judge is None:
            raise ValueError("found no metrics, expected at least one; declare `metrics`")
        if self.readings and not isinstance(self.inference, Generation):
            raise ValueError(
                f"found readings {', '.join(self.readings)} for inference {self.inference.kind!r}, expected them for a "
                "generated text only; leave them out"
            )
        unused = [name for name in self.readings if name not in self.metrics]
        if unused:
            raise ValueError(
                f"found readings {', '.join(unused)} that are no metric of the dataset; name them in `metrics` too"
            )
        if isinstance(self.inference, PartialLogLikelihood) and self.examples.retriever != "zero":
            raise ValueError(
                f"found retriever {self.examples.retriever!r} for partial scoring, expected 'zero'; leave examples out"
            )
