"""Images and texts as queries or candidates: padded batches, and what a Trainer makes of them."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from bench.core.errors import UsageProblem
from bench.machine.torchvision_shim import ensure_torchvision
from bench.reranking.measures import join, measure
from bench.reranking.queries import QuerySet

ensure_torchvision()

torch = pytest.importorskip("torch")


def pictures(count: int = 7) -> QuerySet:
    """Queries that are texts with 0 to 4 images; the brighter of two images is the better one."""
    rng = np.random.default_rng(0)
    candidates = [[rng.random((2, 3)).astype(np.float32) for _ in range(place % 5)] for place in range(count)]
    return QuerySet(
        tuple(f"q{place}" for place in range(count)),
        ["which is the brightest?"[: 5 + place] for place in range(count)],
        candidates,
        [[float(np.mean(one) > 0.5) for one in images] for images in candidates],
        [[f"d{column}" for column in range(len(images))] for images in candidates],
    )


def letters(text):
    return {"ids": [ord(letter) for letter in text], "mask": [1] * len(text)}


def pixels(image):
    return {"pixels": torch.tensor(image)}


class Brightness(torch.nn.Module):
    """Scores an image by its brightness; padding gets the best score of all."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, query_ids, query_mask, candidate_pixels, candidate_mask, labels=None, row_id=None):
        assert query_ids.shape == query_mask.shape
        scores = (self.weight * candidate_pixels.mean(dim=(2, 3))).masked_fill(candidate_mask == 0, 1e9)
        return {"loss": ((scores - labels) ** 2)[candidate_mask == 1].sum(), "logits": scores}


@pytest.fixture
def make(tmp_path):
    def make(**more):
        from transformers import TrainingArguments

        from bench.reranking.compute import RerankMetrics
        from bench.reranking.contents import ContentCollator, content_rows
        from bench.reranking.trainer import RerankTrainer

        queries = pictures()
        given = {"rerank_dataset": content_rows(queries), "rerank_metrics": RerankMetrics(queries), **more}
        return RerankTrainer(
            model=Brightness(),
            args=TrainingArguments(
                output_dir=str(tmp_path / "out"), use_cpu=True, per_device_eval_batch_size=1, report_to=[],
                remove_unused_columns=False, disable_tqdm=True,
            ),
            rerank_collator=ContentCollator(letters, pixels),
            **given,
        )  # fmt: skip

    return make


def test_queries_and_candidates_are_padded_each_in_their_own_form():
    from bench.reranking.contents import ContentCollator, content_rows

    queries = pictures()
    batch = ContentCollator(letters, pixels)(content_rows(queries)[2:5])
    assert batch["query_ids"].shape == (3, 9)
    assert batch["query_mask"].sum(dim=1).tolist() == [7, 8, 9]
    assert batch["candidate_pixels"].shape == (3, 4, 2, 3)
    assert batch["candidate_mask"].sum(dim=1).tolist() == [2, 3, 4]
    assert batch["row_id"].tolist() == [2, 3, 4]
    for place, row in enumerate((2, 3, 4)):
        for column, image in enumerate(queries.candidates[row]):
            assert torch.equal(batch["candidate_pixels"][place, column], torch.tensor(image))
        assert batch["labels"][place, : len(queries.relevances[row])].tolist() == queries.relevances[row]
    assert not batch["candidate_pixels"][0, 2:].any()
    empty = ContentCollator(letters, pixels)(content_rows(queries)[:1])
    assert (empty["candidate_pixels"].shape, int(empty["candidate_mask"].sum())) == ((1, 1, 2, 3), 0)


def test_rows_and_encoders_that_do_not_fit_say_what_to_do():
    from bench.reranking.contents import ContentCollator, content_rows

    rows = content_rows(pictures())
    with pytest.raises(KeyError, match="remove_unused_columns=False"):
        ContentCollator(letters, pixels)([{name: rows[1][name] for name in ("row_id", "relevances")}])
    with pytest.raises(ValueError, match="found no candidate in any row"):
        ContentCollator(letters, pixels)([{**rows[0], "stand_in": []}])

    def uneven(image):
        return {"pixels": torch.ones(3) if image.sum() > 3 else torch.ones(3, 3)}

    with pytest.raises(ValueError, match="found arrays of 1 and 2 dimensions under one name"):
        ContentCollator(letters, uneven)(rows)


def test_the_reranking_set_is_evaluated_alone_and_leaves_a_row_per_query(make, tmp_path):
    trainer, queries = make(), pictures()
    found = trainer.rerank_evaluate()
    scores = [[float(image.mean()) for image in images] for images in queries.candidates]
    expected = measure(*join(queries, scores))
    assert found["eval_rerank_mrr@10"] == pytest.approx(expected.values()["mrr@10"])
    assert found["eval_rerank_queries_without_candidates"] == 2
    with (tmp_path / "out/metric.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["query"] for row in rows] == list(queries.ids)
    assert {row["state"] for row in rows} >= {"scored", "no relevant document"}
    scored = [float(row["mrr@10"]) for row in rows if row["state"] == "scored"]
    assert np.mean(scored) == pytest.approx(found["eval_rerank_mrr@10"])
    assert [len(batch["row_id"]) for batch in trainer.get_rerank_eval_dataloader()] == [1] * 7
    assert trainer.data_collator is not trainer.rerank_collator  # restored


def test_a_metric_file_has_a_known_form_or_is_not_written(make, tmp_path):
    with pytest.raises(
        UsageProblem, match=r"rerank_metric_file='metric.tsv': expected a name that ends in .parquet"
    ):
        make(rerank_metric_file="metric.tsv")
    make(rerank_metric_file=None).rerank_evaluate()
    assert not (tmp_path / "out/metric.csv").exists()
    trainer = make()
    trainer.is_world_process_zero = lambda: False
    trainer.rerank_evaluate()
    assert not (tmp_path / "out/metric.csv").exists()


def test_without_a_reranking_set_its_functions_say_so(make):
    trainer = make(rerank_dataset=None)
    for function in (trainer.rerank_evaluate, trainer.get_rerank_eval_dataloader):
        with pytest.raises(UsageProblem, match="found no rerank_dataset"):
            function()


def test_the_table_of_an_evaluated_ranking_says_which_queries_were_not_scored():
    from bench.core.record import Record
    from bench.evaluated.kind import KIND
    from bench.evaluated.record import EvaluatedBody

    body = EvaluatedBody(model="mine", dataset="faq")
    body.queries = {"total": 9, "scored": 7, "without_relevant": 2, "without_candidates": 1}
    record = Record(id="evaluated-mine-faq", kind="evaluated", body=body)
    plain = Record(id="evaluated-other", kind="evaluated", body=EvaluatedBody(model="a", dataset="b"))
    section = KIND.table(SimpleNamespace(records=[record, plain], options=None))
    assert section.notes == [
        "evaluated-mine-faq: 9 queries, 2 without a relevant document, 1 without candidates"
    ]
