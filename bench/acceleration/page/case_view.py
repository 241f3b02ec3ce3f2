"""What the page shows of one acceleration case: its gates, what differs, images, prompts, rounds, what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.acceleration.page import reading
from bench.acceleration.page.reading import GIGABYTE, Prompt, described, look
from bench.core.page import (
    Bar,
    Block,
    CaseView,
    Fold,
    Forest,
    Grid,
    ImagePair,
    ImagePairs,
    NamedFacts,
    PageRequest,
    Prose,
    Strip,
    StripPlot,
)
from bench.core.record import Record
from bench.report.html.plain import common_blocks, metric_blocks
from bench.report.html.words import number, seconds

ARMS = ("baseline", "candidate")
_MOST_PAIRS = 12
_MOST_PROMPTS, _MOST_ON_A_LARGE_PAGE = 32, 8
_OBSERVED = (
    ("pipeline", "pipeline_class"),
    ("model", "model_id"),
    ("scheduler", "scheduler_class"),
    ("steps asked for", "num_inference_steps"),
    ("steps taken", "scheduler_steps"),
    ("methods", "methods"),
    ("types of numbers", "dtypes"),
    ("called by", "entry_point"),
    ("denoiser calls per image", "denoiser_calls_per_image"),
    ("layers per call", "layers_per_call"),
)
_SAID = {"pipeline_class", "model_id", "scheduler_class", "num_inference_steps", "methods"}


def case_view(request: PageRequest, record: Record) -> CaseView:
    """Return the view of a case."""
    prompts = reading.read_prompts(request.file(record, "predictions"))
    speed, loss = reading.speed_bar(record), reading.loss_bar(record)
    bars = [bar for bar in (speed, loss) if bar is not None]
    blocks = [
        *_gates([*bars, *reading.other_bars(record)]),
        *_differences(record),
        *_integrity(record),
        *_images(request, record, prompts),
        *_rounds(record),
        *_more(record, prompts, _MOST_ON_A_LARGE_PAGE if request.is_large else _MOST_PROMPTS),
    ]
    return CaseView(blocks, bars, {"model": _model(record), "method": _methods(record)})


def _model(record: Record) -> list[str]:
    """Return the model by the id of the case, which is ``difficulty-model-method-number``."""
    parts = record.id.split("-")
    return parts[1:2]


def _methods(record: Record) -> list[str]:
    found = look(record.body, "config", "candidate", "methods") or {}
    return list(found) or ["none"]


def _gates(bars: Sequence[Bar]) -> list[Block]:
    return [Forest(bars, "Gates")] if bars else []


def _differences(record: Record) -> list[Block]:
    """Return where the candidate differs from its target: what must not differ first."""
    config = look(record.body, "config")
    counting, free = look(config, "mismatches") or [], look(config, "free") or []
    rows = [
        (
            entry.field,
            described(entry.target),
            described(entry.candidate),
            allowed,
            ", ".join(look(entry, "because") or ()),
        )
        for entries, allowed in ((counting, "must be equal"), (free, "may differ"))
        for entry in entries
    ]
    if not rows:
        return []
    title = (
        "Why it was rejected: it is another pipeline than its target"
        if counting
        else "What differs from the target, and may"
    )
    return [
        Grid(
            ("what", "target", "candidate", "rule", "because of"),
            rows,
            title,
            marked=frozenset(range(len(counting))),
        )
    ]


def _integrity(record: Record) -> list[Block]:
    """Return what speaks for or against the candidate besides its figures: effects of methods, contradictions, the jail."""
    found: list[Block] = []
    effect = look(record.body, "effect")
    methods = look(effect, "methods") or {}
    if methods:
        words = {True: "has an effect", False: "has no effect", None: "not known"}
        rows = [(name, words.get(value, str(value))) for name, value in methods.items()]
        if look(effect, "images"):
            rows.append(
                (
                    "images that differ",
                    f"{effect.differing_images} of {effect.images}, against the {effect.against}",
                )
            )
        rows += [
            (name.replace("_", " "), f"{described(pair[0])} without, {described(pair[1])} with")
            for name, pair in (look(effect, "changes") or {}).items()
        ]
        found.append(NamedFacts(rows, "What its methods do"))
    contradictions = look(record.body, "config", "candidate", "disagreements") or []
    if contradictions:
        rows3 = [
            (entry.field, described(entry.source), described(entry.observed)) for entry in contradictions
        ]
        found.append(
            Grid(
                ("what", "its source says", "observed"),
                rows3,
                "Where the source and the running pipeline disagree",
            )
        )
    unread = look(record.body, "unread_demands") or []
    if unread:
        found.append(
            Prose(list(unread), "Parts of the task that were not understood, and not judged", "unsure")
        )
    return found


def _images(request: PageRequest, record: Record, prompts: Sequence[Prompt]) -> list[Block]:
    folder = request.file(record, "images") or request.file(record, "videos")
    if folder is None:
        return []
    by_number = {prompt.number: prompt for prompt in prompts}
    numbers = list(by_number) or sorted(
        int(path.name.partition("-")[0])
        for path in folder.glob("*-candidate.webp")
        if path.name.partition("-")[0].isdigit()
    )
    pairs: list[ImagePair] = []
    for place in numbers:
        left, right = (folder / f"{place}-{arm}.webp" for arm in ARMS)
        if left.is_file() and right.is_file() and len(pairs) < _MOST_PAIRS:
            pairs.append(_pair(left, right, by_number.get(place), place))
    if not pairs:
        return []
    return [
        ImagePairs(
            pairs, "baseline", "candidate", "Images, the worst prompt first",
            "Images are reduced and compressed for this page; they were judged as they came out.",
        )
    ]  # fmt: skip


def _pair(left: Path, right: Path, prompt: Prompt | None, place: int) -> ImagePair:
    if prompt is None:
        return ImagePair(f"sample {place}", left, right)
    facts = [] if prompt.change is None else [("score", f"{prompt.change:+.2f}")]
    facts += [
        (label, number(prompt.values[name]))
        for name, label in (
            ("ssim", "SSIM"),
            ("psnr_db", "PSNR"),
            ("lpips", "LPIPS"),
            ("clip_image_cosine", "CLIP image"),
        )
        if name in prompt.values
    ]
    return ImagePair(prompt.text or f"sample {place}", left, right, facts)


def _rounds(record: Record) -> list[Block]:
    launches = reading.rounds_by_launch(record)
    if not launches:
        return []
    load = look(record.body, "times", "foreign_load")
    note = "Each dot is a round: the baseline's time over the candidate's, on the same prompts and seeds."
    if load is not None:
        note += f" Other processes used {100 * load:.0f} % of the leased cores."
    return [
        StripPlot(
            [Strip(f"{label} ({len(ratios)})", ratios) for label, ratios in launches],
            "Speedup by round", "x", look(record.body, "speedup", "required"), note,
        )
    ]  # fmt: skip


def _more(record: Record, prompts: Sequence[Prompt], most: int) -> list[Block]:
    folds: list[Block] = []
    if prompts:
        name = "Every prompt" if len(prompts) <= most else "The worst prompts"
        title = f"{name} ({min(len(prompts), most)} of {len(prompts)})"
        folds.append(Fold(title, [_prompt_grid(prompts, most)]))
    observed = _observed(record)
    if observed:
        folds.append(Fold("What was observed, and what the source says", observed))
    costs = _costs(record)
    if costs:
        folds.append(Fold("Times, memory and isolation", costs))
    folds.append(
        Fold("All estimates, files and the record", [*metric_blocks(record), *common_blocks(record)])
    )
    return folds


def _prompt_grid(prompts: Sequence[Prompt], most: int) -> Grid:
    names = list(dict.fromkeys(name for prompt in prompts for name in prompt.values))
    rows = [
        (
            prompt.text,
            "–" if prompt.change is None else f"{prompt.change:+.2f}",
            *(number(prompt.values.get(name)) for name in names),
        )
        for prompt in prompts[:most]
    ]
    left = len(prompts) - len(rows)
    return Grid(
        ("prompt", "change of the score", *(name.replace("_", " ") for name in names)), rows,
        numeric=frozenset(range(1, len(names) + 2)),
        note=f"{left} more stand in the predictions file." if left > 0 else "",
    )  # fmt: skip


def _observed(record: Record) -> list[Block]:
    config = look(record.body, "config")
    arms = {name: look(config, name) for name in ("target", "baseline", "candidate")}
    if arms["candidate"] is None:
        return []
    rows = []
    for label, key in _OBSERVED:
        values = [described(look(arm, key)) for arm in arms.values()]
        said = look(arms["candidate"], "source", key) if key in _SAID else None
        rows.append(
            (
                label,
                *values,
                "" if key not in _SAID else described(said) if said not in (None, {}) else "not said",
            )
        )
    blocks: list[Block] = [Grid(("", "target", "baseline", "candidate", "the candidate's source says"), rows)]
    parts = look(arms["candidate"], "parts") or {}
    if parts:
        facts = [(name, _part(part)) for name, part in parts.items()]
        blocks.append(NamedFacts(facts, "Parts of the candidate"))
    call = look(arms["candidate"], "call")
    if call is not None:
        facts = [
            ("known by", described(look(call, "by"))),
            ("line", described(look(call, "line"))),
            ("arguments", described(look(call, "arguments"))),
        ]
        blocks.append(NamedFacts(facts, "How the candidate is called"))
    return blocks


def _part(part: object) -> str:
    megabytes = (look(part, "weight_bytes") or 0) / 1e6
    return (
        f"{look(part, 'class_name')}, {number(look(part, 'parameters'))} parameters, {number(megabytes)} MB"
    )


def _costs(record: Record) -> list[Block]:
    times, memory, isolation = (look(record.body, name) for name in ("times", "memory", "isolation"))
    blocks: list[Block] = []
    rows = [
        (label, *(seconds(look(times, key, arm)) for arm in ARMS))
        for label, key in (
            ("loading", "load_s"),
            ("first call", "first_call_s"),
            ("compiling", "compile_s"),
            ("a step", "step_s"),
        )
        if look(times, key)
    ]
    if memory is not None:
        peaks = [look(memory, f"{arm}_peak_bytes") for arm in ARMS]
        rows.append(
            ("peak of memory", *("–" if peak is None else f"{peak / GIGABYTE:.2f} GB" for peak in peaks))
        )
    if rows:
        blocks.append(Grid(("", *ARMS), rows, numeric=frozenset({1, 2})))
    if isolation is not None:
        facts = [
            ("mode", described(look(isolation, "mode"))),
            ("layers in force", described(look(isolation, "layers"))),
        ]
        facts += [(f"missing: {name}", str(why)) for name, why in (look(isolation, "missing") or {}).items()]
        blocks.append(NamedFacts(facts, "What kept the candidate apart"))
    return blocks
