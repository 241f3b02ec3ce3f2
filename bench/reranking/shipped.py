"""The query sets, rankers and controls that ship."""

from __future__ import annotations

import importlib.util
import platform
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.reranking.docstrings import number_of, read_docstrings
from bench.reranking.library import query_set, ranker
from bench.reranking.queries import QuerySet

_ZOO = Path(__file__).resolve().parents[2] / "fixtures" / "zoo"
_FEWEST, _MOST = 4, 16  # candidates of a query, its relevant one among them
_SHAPE_QUERIES = 80
_DOCSTRING_QUERIES = 64
_DOCSTRINGS = 240  # read at least, of which the others are candidates
_DIGIT_QUERIES = 60
_DIGIT_CANDIDATES = (20, 60)

Scores = list[NDArray[np.floating[Any]]]


# --- query sets ------------------------------------------------------------------------------------------------


@query_set("shapes", queries="text", candidates="image")
def shapes() -> QuerySet:
    """Return captions that ask for drawn images, all of scenes that no model of the zoo was trained on.

    Most of the other images of a list differ from the right one in a single attribute.
    """
    drawing = _zoo_module("shapes")
    scenes = drawing.held_out_scenes()
    pictures = dict(zip(scenes, drawing.draw_many(scenes, seed=0), strict=True))
    ids, queries, candidates, relevances, documents = [], [], [], [], []
    for scene in scenes[:_SHAPE_QUERIES]:
        alike = sorted(
            (other for other in scenes if other != scene),
            key=lambda other: (_different(scene, other), number_of(f"{scene.caption}|{other.caption}")),
        )
        shown = _shuffled([scene, *alike[: _length(scene.caption) - 1]], scene.caption)
        ids.append(_name(scene.caption))
        queries.append(scene.caption)
        candidates.append([pictures[other] for other in shown])
        relevances.append([float(other == scene) for other in shown])
        documents.append([_name(other.caption) for other in shown])
    return QuerySet(
        tuple(ids), queries, candidates, relevances, documents,
        source="synthetic: drawn images and their captions (fixtures/zoo/shapes.py), held-out scenes",
    )  # fmt: skip


@query_set("stdlib_docstrings", queries="text", candidates="text")
def stdlib_docstrings() -> QuerySet:
    """Return summaries that ask for the body of their docstring, of modules that tiny-reranker has not seen.

    Relevance is by construction: the body below the summary. Bodies of other docstrings may fit too, and
    count as not relevant.
    """
    docstrings = read_docstrings(held_out=True, at_least=_DOCSTRINGS)
    asked = sorted(docstrings, key=lambda one: number_of(f"query {one.name}"))[:_DOCSTRING_QUERIES]
    candidates, relevances, documents = [], [], []
    for one in asked:
        others = sorted(
            (other for other in docstrings if other is not one),
            key=lambda other: number_of(f"{one.name}|{other.name}"),
        )
        shown = _shuffled([one, *others[: _length(one.name) - 1]], one.name)
        candidates.append([other.body for other in shown])
        relevances.append([float(other is one) for other in shown])
        documents.append([other.name for other in shown])
    return QuerySet(
        tuple(one.name for one in asked),
        [one.summary for one in asked],
        candidates,
        relevances,
        documents,
        source="docstrings of the running interpreter's standard library, held-out modules",
        facts={"python": platform.python_version(), "implementation": platform.python_implementation()},
    )


@query_set("digits", queries="image", candidates="image")
def digits() -> QuerySet:
    """Return handwritten digits that ask for images of the same digit; several are relevant."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  collecting must not pay for it

    data = load_digits()
    images = data.images.astype(np.uint8)  # 0 to 16
    order = sorted(range(len(images)), key=lambda row: number_of(f"digit {row}"))
    asked, pool = order[:_DIGIT_QUERIES], order[_DIGIT_QUERIES:]
    candidates, relevances, documents = [], [], []
    fewest, most = _DIGIT_CANDIDATES
    for row in asked:
        count = fewest + number_of(f"count {row}") % (most - fewest + 1)
        shown = sorted(pool, key=lambda other: number_of(f"{row}|{other}"))[:count]
        candidates.append([images[other] for other in shown])
        relevances.append([float(data.target[other] == data.target[row]) for other in shown])
        documents.append([f"digit-{other}" for other in shown])
    return QuerySet(
        tuple(f"digit-{row}" for row in asked),
        [images[row] for row in asked],
        candidates,
        relevances,
        documents,
        source="scikit-learn's digits (8 x 8 pixels, handwritten), the same digit is relevant",
    )


def _length(text: str) -> int:
    return _FEWEST + number_of(f"length {text}") % (_MOST - _FEWEST + 1)


def _shuffled(items: list[Any], key: str) -> list[Any]:
    """Return items in an order that depends on a text, so that the relevant one is not always the first."""
    places = sorted(range(len(items)), key=lambda place: number_of(f"{key}|{place}"))
    return [items[place] for place in places]


def _different(one: Any, other: Any) -> int:
    """Return in how many attributes two scenes differ."""
    return sum(value != vars(other)[name] for name, value in vars(one).items())


def _name(caption: str) -> str:
    return caption.replace(" ", "_")


def _zoo_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"modelgate_zoo_{name}", _ZOO / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


# --- rankers ---------------------------------------------------------------------------------------------------


@ranker("tiny_clip", queries="text", candidates="image", sets=("shapes",))
def tiny_clip(queries: QuerySet) -> Scores:
    """Return the cosine of caption and image in the embedding of the zoo's CLIP."""
    model = _tiny_clip()
    # A picture is a candidate of several queries and embedded once.
    pictures = {
        document: picture
        for names, images in zip(queries.documents, queries.candidates, strict=True)
        for document, picture in zip(names, images, strict=True)
    }
    places = {document: place for place, document in enumerate(pictures)}
    images = model.embed_images(list(pictures.values()))
    texts = model.embed_texts(queries.queries)
    return [
        images[[places[document] for document in names]] @ text
        for names, text in zip(queries.documents, texts, strict=True)
    ]


@ranker("tiny_reranker", queries="text", candidates="text")
def tiny_reranker(queries: QuerySet) -> Scores:
    """Return the scores of the zoo's cross-encoder."""
    return _tiny_reranker().scores(queries.queries, queries.candidates)


@ranker("pixel_cosine", queries="image", candidates="image")
def pixel_cosine(queries: QuerySet) -> Scores:
    """Return the cosine of the pixels of two images."""
    return [
        _unit(candidates) @ _unit([query])[0]
        for query, candidates in zip(queries.queries, queries.candidates, strict=True)
    ]


def _unit(images: Any) -> NDArray[np.float64]:
    flat = np.stack([np.asarray(image, np.float64).ravel() for image in images])
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


@cache
def _tiny_clip() -> Any:
    from bench.metrics.clip_model import ClipModel  # noqa: PLC0415

    return ClipModel(str(_ZOO / "tiny-clip"))


@cache
def _tiny_reranker() -> Any:
    from bench.reranking.cross_encoder import TextRanker  # noqa: PLC0415

    return TextRanker(_ZOO / "tiny-reranker")


# --- controls --------------------------------------------------------------------------------------------------


@ranker("constant", sets=("digits",), expect="baseline_not_beaten")
def constant(queries: QuerySet) -> Scores:
    """Return the same score for every candidate: it must not profit from ties."""
    return [np.zeros(len(documents)) for documents in queries.documents]


@ranker("shuffled", queries="image", candidates="image", sets=("digits",), expect="baseline_not_beaten")
def shuffled(queries: QuerySet) -> Scores:
    """Return the scores of `pixel_cosine`, each given to another candidate of the same query."""
    rng = np.random.default_rng(0)
    return [rng.permutation(scores) for scores in pixel_cosine(queries)]
