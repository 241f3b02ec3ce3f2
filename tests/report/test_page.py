"""The page of a run: what stands on it, that nothing on it is run or fetched, and how large it gets."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import page_runs
import PIL.Image
import pytest
from page_runs import HOSTILE

from bench.core.estimate import Estimate
from bench.core.page import Bar
from bench.kinds import KINDS
from bench.report.html import images
from bench.report.html.page import page, write_page
from bench.report.html.scale import Axis
from bench.report.results import ResultsFile

VOID = {"meta", "link", "input", "img", "br"}


class Reader(HTMLParser):
    """Notes tags with their attributes, and the texts outside of scripts and styles."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.texts, self.scripts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def drawn(folder):
    run = page_runs.load(folder)
    return page(run.run, run.ordered, KINDS, folder)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return drawn(page_runs.mixed(tmp_path_factory.mktemp("calm") / "run"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return drawn(page_runs.mixed(tmp_path_factory.mktemp("hostile") / "run", hostile=HOSTILE))


# What stands on it


def test_it_says_what_passed_and_why_not(calm):
    text = Reader(calm).text
    assert "5 of 7 tasks passed" in text
    assert "1 failed · 1 inconclusive · the control was rejected, as it must be" in text
    first = text.index("What did not pass")
    failed, undecided = text.index("hard-sd-deepcache-2", first), text.index("medium-sd-deepcache-3", first)
    assert first < failed < undecided < text.index("Acceleration", first)


def test_a_control_that_was_not_rejected_spoils_the_headline(tmp_path):
    folder = page_runs.write_run(
        tmp_path / "run", [page_runs.accelerated(1), page_runs.control(rejected=False)]
    )
    text = drawn(folder)
    assert '<h1 class="v-fail">' in text
    assert "1 of 1 controls was not rejected" in Reader(text).text
    sound = page_runs.write_run(tmp_path / "sound", [page_runs.accelerated(1), page_runs.control()])
    assert '<h1 class="v-pass">' in drawn(sound)


@pytest.mark.parametrize(
    "text",
    [
        "Speedup against quality loss", "Speedups against their limits", "Gates",  # acceleration
        "Why it was rejected: it is another pipeline than its target", "num_inference_steps",
        "Where the source and the running pipeline disagree", "PNDM", "the candidate's source says",
        "Images, the worst prompt first", "a picture of thing 3", "Speedup by round", "Every prompt (8 of 8)",
        "must be rejected with", "config_mismatch",
        "Models and datasets", "Answers to read", "question 0", "answer 3", "read 3", "gold 3",  # language
        "2 of 6 answers could not be read, 1 were wrong",
        "Gold against predicted", "The worst texts", "text-2", "off by 2", "essay 2",  # regression
        "Recall by cut-off", "Queries with the least mrr@10", "query 2",  # reranking
        "mine-notes",  # a kind without a view of its own
    ],
)  # fmt: skip
def test_each_kind_shows_what_it_has(calm, text):
    assert text in Reader(calm).text


def test_the_worst_prompt_goes_first(tmp_path):
    made = page_runs.accelerated(1, folder=tmp_path / "run", images=8)
    folder = page_runs.write_run(tmp_path / "run", [made])
    rows = {}
    for line in (folder / "predictions/sd/1.jsonl").read_text().splitlines():
        row = __import__("json").loads(line)
        rows[row["prompt"]] = row["candidate_clip_score"]
    section = drawn(folder).split("Images, the worst prompt first")[1].split("</ol>")[0]
    shown = re.findall(r"a picture of thing \d+", section)
    assert shown == sorted(rows, key=rows.get)


def test_rounds_stand_by_launch_where_records_have_launches():
    from types import SimpleNamespace

    from bench.acceleration.page.reading import rounds_by_launch

    rounds = [SimpleNamespace(baseline_s=2.0 + n, candidate_s=1.0, launch=n // 2) for n in range(4)]
    record = SimpleNamespace(body=SimpleNamespace(times=SimpleNamespace(rounds=rounds)))
    assert rounds_by_launch(record) == [("launch 1", [2.0, 3.0]), ("launch 2", [4.0, 5.0])]
    one = SimpleNamespace(
        body=SimpleNamespace(times=SimpleNamespace(rounds=[replace_launch(r) for r in rounds]))
    )
    assert rounds_by_launch(one) == [("rounds", [2.0, 3.0, 4.0, 5.0])]


def replace_launch(entry):
    return {"baseline_s": entry.baseline_s, "candidate_s": entry.candidate_s}


def test_what_a_kind_cannot_show_costs_no_other_and_is_said(tmp_path):
    def broken(request):
        raise ValueError("a damaged file")

    kinds = {**KINDS, "acceleration": replace(KINDS["acceleration"], page=broken)}
    folder = page_runs.mixed(tmp_path / "run")
    run = page_runs.load(folder)
    text = Reader(page(run.run, run.ordered, kinds, folder)).text
    assert "The details of the acceleration cases are left out: ValueError: a damaged file" in text
    assert "hard-sd-deepcache-2" in text
    assert "Recall by cut-off" in text


def test_files_that_are_gone_damaged_or_elsewhere_are_left_out(tmp_path):
    folder = page_runs.mixed(tmp_path / "run")
    for path in (folder / "predictions/sd/1.jsonl", folder / "results/tiny/siqa_gen.json"):
        path.write_text("{ this is no JSON", encoding="utf-8")
    (folder / "predictions/sd/1/0-baseline.webp").write_bytes(b"no image")
    (folder / "results/essays/samples.csv").unlink()
    secret = tmp_path / "secret.json"
    secret.write_text('{"keys": ["a"], "values": {"accuracy": [0]}, "golds": ["top secret"]}')
    made = page_runs.asked(values=[0.0, 1.0])
    made.files = {"results": "../secret.json", "predictions": "../secret.json"}
    page_runs.write_run(folder, [*page_runs.load(folder).ordered[:-1], made])
    text = drawn(folder)
    assert "left out" not in text
    assert "top secret" not in text


# Safety


def test_nothing_hostile_becomes_markup(hostile):
    reader = Reader(hostile)
    assert HOSTILE in "".join(reader.texts)
    assert [tag for tag, _ in reader.tags if tag == "img"] == []
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    code = [
        attributes
        for tag, attributes in reader.tags
        if tag == "script" and attributes.get("type") != "text/plain"
    ]
    assert code == [{}]
    assert "window.hacked" not in "".join(reader.scripts)
    assert reader.open == []


def test_ids_and_links_of_hostile_cases_are_plain(hostile):
    reader = Reader(hostile)
    ids = reader.attributes("id")
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z0-9_.+-]+", name) for name in ids)
    targets = [link.removeprefix("#") for link in reader.attributes("href") if link != "data:,"]
    assert targets
    assert set(targets) <= set(ids)


def test_only_its_own_script_may_run_and_nothing_is_fetched(calm):
    import hashlib

    reader = Reader(calm)
    (policy,) = [a["content"] for tag, a in reader.tags if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(reader.scripts[-1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"""(src|href)=["'](https?:)?//""", calm)
    assert "http" not in re.sub(r"http-equiv", "", calm.split("<body>")[0])


# Images and sizes


def test_an_image_is_stored_once(tmp_path):
    folder = tmp_path / "run"
    first = page_runs.accelerated(1, folder=folder, images=2)
    second = page_runs.accelerated(2, folder=folder)
    second.files = dict(first.files)
    text = drawn(page_runs.write_run(folder, [first, second]))
    stored = re.findall(r'<script type="text/plain" id="i-(\w+)">', text)
    used = set(re.findall(r'data-[lr]="(\w+)"', text))
    assert len(stored) == len(set(stored)) == 4
    assert used == set(stored)
    assert text.count("data-l=") == 4
    data = base64.b64decode(re.search(rf'id="i-{stored[0]}">([^<]+)<', text)[1])
    assert data[8:12] == b"WEBP"


def test_images_stay_within_their_room(tmp_path):
    """Noise is the worst that an image can be."""
    paths = [tmp_path / f"{number}.png" for number in range(16)]
    for number, path in enumerate(paths):
        noise = np.random.default_rng(number).integers(0, 256, size=(160, 160, 3), dtype=np.uint8)
        PIL.Image.fromarray(noise).save(path)
    for cases in (1, 600):
        store = images.ImageStore(cases)
        assert store.room * cases <= max(images.PAGE_CHARACTERS, images.CASE_CHARACTERS)
        store.begin_case()
        shown = [store.pair(*paths[place : place + 2]) for place in range(0, 16, 2)]
        assert shown[0] is not None
        assert shown[-1] is None
        assert 0 < sum(map(len, store.images.values())) <= store.room
        taken = len(store.images)
        store.begin_case()
        assert store.pair(paths[-1], paths[-2]) is not None
        assert len(store.images) == taken + 2


def test_pages_of_24_and_of_600_cases_are_small_enough(tmp_path):
    """What the text of a case takes, times the cases, with all the room that images have."""
    folder = tmp_path / "run"
    records = [
        page_runs.accelerated(number, folder=folder if number < 8 else None, prompts=32)
        for number in range(110)
    ]
    for record in records[8:]:
        record.files = dict(records[0].files)

    def size(count):
        return len(drawn(page_runs.write_run(folder, records[:count])).encode())

    few, more, many, most = size(4), size(8), size(105), size(110)
    assert 24 * (more - few) / 4 + few + 24 * images.ImageStore(24).room < 5e6
    assert 600 * (most - many) / 5 + few + 600 * images.ImageStore(600).room < 30e6


def test_a_large_page_shows_the_worst_prompts_alone(tmp_path):
    folder = tmp_path / "run"
    records = [
        page_runs.accelerated(0, folder=folder, prompts=32),
        *(page_runs.accelerated(n) for n in range(1, 102)),
    ]
    text = Reader(drawn(page_runs.write_run(folder, records))).text
    assert "The worst prompts (8 of 32)" in text
    assert "24 more stand in the predictions file." in text


def test_write_page_puts_it_next_to_the_results(tmp_path):
    folder = page_runs.mixed(tmp_path / "run")
    run = page_runs.load(folder)
    results = ResultsFile(folder / "evaluation_results.json", run.run, KINDS)
    for (kind, identity), plain in run.plain.items():
        results.add(f"{kind}::{identity}", plain)
    assert write_page(results, KINDS) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8") == drawn(folder)


# Scales


def test_a_scale_holds_its_values_and_ticks_are_round():
    scale = Axis.over([1.0, 3.7, None])
    assert 0 < scale.at(1.0) < scale.at(3.7) < 100
    assert list(scale.ticks()) == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5] or all(
        1 <= tick <= 4 for tick in scale.ticks()
    )
    wide = Axis.over([0.5, 50.0], logarithmic=True)
    assert list(wide.ticks()) == [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
    assert Axis.over([2.0]).at(2.0) == 50.0
    assert Axis.over([]).at(0.5) == 50.0


@pytest.mark.parametrize(
    ("low", "high", "at_most", "strict", "verdict"),
    [
        (1.5, 2.0, False, False, "pass"), (1.5, 2.0, False, True, "inconclusive"), (1.0, 1.4, False, False, "fail"),
        (1.0, 2.0, False, False, "inconclusive"), (1.0, 1.5, True, False, "pass"), (1.0, 1.5, True, True, "inconclusive"),
        (1.6, 2.0, True, False, "fail"),
    ],
)  # fmt: skip
def test_a_bar_is_judged_as_a_gate_is(low, high, at_most, strict, verdict):
    from bench.core.gate import Limit, gate

    estimate = Estimate(metric="m", value=(low + high) / 2, low=low, high=high)
    assert Bar("m", estimate, 1.5, at_most).judged(strict=strict).verdict == verdict
    assert gate(estimate, Limit(bound=1.5, at_most=at_most, strict=strict)).verdict == verdict
