"""``judge``, ``init`` and the card: what a person and a program are told about one candidate."""

import io
import json
import os
import subprocess
from contextlib import nullcontext
from pathlib import Path

import arms
import pytest
from suites import own_environment

from bench.acceleration.cache import KEPT
from bench.acceleration.host import kept_server
from bench.cli import judge as command
from bench.cli.card import EXIT_CODES, GateRow, finite, make_card
from bench.cli.init import init
from bench.cli.judge import JudgedRun, judge, run_questions, watch
from bench.cli.limits import JudgeProblem, MetricLimit
from bench.cli.main import main
from bench.cli.question import JudgeTask
from bench.cli.show import console_for, show_card
from bench.core.verdict import VERDICTS
from bench.shipped import shipped_root

_PIPELINES = shipped_root() / "fixtures" / "pipelines"
_THREE = _PIPELINES / "targets" / "ddim_3.py"


def _record(**changed):
    record = {
        "verdict": "pass", "reason_code": "passed", "reason": "all holds", "warnings": [],
        "quality": {"loss": 0.01, "low": -0.002, "high": 0.02, "allowed": 0.05},
        "speedup": {"value": 1.8, "low": 1.7, "high": 1.9, "required": 1.5, "rounds": 9},
        "latency": {"value": 0.5, "low": 0.45, "high": 0.55, "allowed": None},
        "memory": {"candidate_peak_bytes": 2_000_000_000, "allowed_bytes": 4_000_000_000},
        "metrics": {"ssim": {"value": 0.91, "low": 0.89, "high": 0.93}, "quality_loss": {"n": 16}},
        "config": {
            "mismatches": [], "free": [{"field": "num_inference_steps", "target": 50, "candidate": 20}],
            "candidate": {
                "pipeline_class": "P", "scheduler_class": "S", "scheduler_steps": 20, "dtypes": {"unet": "float16"},
                "methods": {"deepcache": {"cache_interval": 3}}, "output": {"width": 64, "height": 32, "frames": None},
            },
        },
        "effect": {"methods": {"deepcache": True}},
        "isolation": {"mode": "jail", "missing": {}},
        "times": {"part_s": {"candidate": {"text_encoder": 0.1, "denoiser": 0.8, "decoder": 0.1}, "baseline": {}}},
    }  # fmt: skip
    return {**record, **changed}


def _states(card):
    return {row.name: row.state for row in card.gates}


def _drawn(card, title="a against b"):
    page = io.StringIO()
    show_card(console_for(page), card, title, [("results", "somewhere")])
    return page.getvalue()


class TestCard:
    def test_each_gate_has_its_state(self):
        card = make_card(_record(), [MetricLimit("ssim", 0.9, False), MetricLimit("psnr_db", 20.0, False)])
        assert _states(card) == {
            "configuration": "holds", "quality loss": "holds", "speedup": "holds", "latency": "not asked", "memory": "holds",
            "ssim": "undecided", "psnr_db": "not measured",
        }  # fmt: skip
        assert card.missing == []

    @pytest.mark.parametrize(
        ("name", "changed", "state", "told"),
        [
            (
                "speedup",
                {"speedup": {"value": 1.2, "low": 1.1, "high": 1.3, "required": 1.5}},
                "missed",
                "20 % less time",
            ),
            (
                "speedup",
                {"speedup": {"value": 1.5, "low": 1.4, "high": 1.6, "required": 1.5}},
                "undecided",
                "decide it",
            ),
            (
                "quality loss",
                {"quality": {"loss": 0.055, "low": 0.051, "high": 0.06, "allowed": 0.05}},
                "missed",
                "5.5 %",
            ),
            (
                "latency",
                {"latency": {"value": 2.0, "low": 1.9, "high": 2.1, "allowed": 1.0}},
                "missed",
                "at most 1 s",
            ),
            ("memory", {"memory": {"candidate_peak_bytes": 5e9, "allowed_bytes": 4e9}}, "missed", "5.00 GB"),
        ],
    )
    def test_what_is_not_held_is_named_as_a_fact(self, name, changed, state, told):
        card = make_card(_record(verdict="fail", reason_code="speedup_missed", reason="no", **changed))
        assert _states(card)[name] == state
        assert any(told in line for line in card.missing), card.missing

    def test_a_speedup_at_its_limit_holds_and_a_loss_at_its_limit_does_not(self):
        at_limit = {
            "speedup": {"value": 1.5, "low": 1.5, "high": 1.5, "required": 1.5},
            "quality": {"loss": 0.05, "low": 0.05, "high": 0.05, "allowed": 0.05},
        }
        states = _states(make_card(_record(**at_limit)))
        assert (states["speedup"], states["quality loss"]) == ("holds", "undecided")

    def test_a_difference_that_must_not_be_is_named_with_both_values(self):
        config = {"mismatches": [{"field": "arguments.eta", "target": 0.0, "candidate": 1.0}], "free": []}
        card = make_card(
            _record(verdict="fail", reason_code="config_mismatch", reason="differs", config=config)
        )
        assert card.missing == ["arguments.eta is 1.0, and the target has 0.0"]
        assert "must not differ" in _drawn(card)

    def test_a_record_of_a_case_that_never_began_is_a_card_too(self):
        card = make_card(
            {"verdict": "error", "reason_code": "load_failed", "reason": "candidate.py: no pipe"}
        )
        assert card.missing == ["candidate.py: no pipe"]
        assert card.exit_code == 2
        assert "ERROR" in _drawn(card)

    @pytest.mark.parametrize("columns", ["", "80"])
    def test_the_verdict_comes_first_and_no_line_is_wider_than_a_hundred_columns_or_those_asked_for(
        self, monkeypatch, columns
    ):
        monkeypatch.setenv("COLUMNS", columns)
        long = "x" * 300
        text = _drawn(make_card(_record(reason=long)), title=long)
        assert text.lstrip().startswith("PASS")
        assert max(map(len, text.splitlines())) <= int(columns or 100)
        assert "deepcache (cache_interval=3): effective" in text
        assert "denoiser 80 %" in text

    def test_markup_in_what_a_file_says_stays_text(self):
        assert "[red]no[/red]" in _drawn(make_card(_record(reason="[red]no[/red]")))

    def test_every_verdict_has_an_exit_code(self):
        assert set(EXIT_CODES) == set(VERDICTS)

    def test_the_json_has_no_number_that_json_lacks(self):
        row = make_card(
            _record(speedup={"value": float("inf"), "low": 1.0, "high": float("inf"), "required": 1.5})
        )
        assert json.loads(json.dumps(finite(row.to_json()), allow_nan=False))["gates"][2]["value"] is None

    def test_an_interval_has_its_unit_once(self):
        row = GateRow("loss", 0.014, -0.004, 0.047, 0.05, True, "holds", "fraction")
        assert (row.measured, row.asked) == ("1.4 % [-0.4, 4.7]", "at most 5.0 %")


class TestQuestion:
    def test_without_a_target_what_makes_it_faster_is_free(self):
        entry = JudgeTask(_THREE, _THREE, speedup=2.0).entry()
        assert entry["free"] == ["methods", "steps", "scheduler"]
        assert (entry["difficulty"], entry["required_speedup"]) == ("hard", 2.0)
        assert "free" not in JudgeTask(_THREE, _THREE, _THREE).entry()

    def test_a_metric_without_a_bound_is_refused(self):
        with pytest.raises(JudgeProblem, match="expected a metric with a bound"):
            _ = JudgeTask(_THREE, _THREE, metrics=("ssim",)).limits
        assert JudgeTask(_THREE, _THREE, metrics=("ssim >= 90%",)).limits == [MetricLimit("ssim", 0.9, False)]

    @pytest.mark.parametrize("text", ["ssim>=1.2.3", "ssim>=.", "ssim>=e", "ssim>=1e999", "ssim>=nan", ""])
    def test_a_bound_that_is_no_number_is_refused(self, text):
        with pytest.raises(JudgeProblem, match="expected a metric with a bound"):
            _ = JudgeTask(_THREE, _THREE, metrics=(text,)).limits

    def test_a_metric_may_have_a_bound_on_each_side_and_both_are_asked(self):
        limits = JudgeTask(_THREE, _THREE, metrics=("ssim>=0.9", "ssim<=0.98765432109")).limits
        assert [one.requirement for one in limits] == [
            "acceleration:ssim>=0.9",
            "acceleration:ssim<=0.98765432109",
        ]
        record = _record(metrics={"ssim": {"value": 0.5, "low": 0.4, "high": 0.6}})
        rows = [(row.limit, row.state) for row in make_card(record, limits).gates if row.name == "ssim"]
        assert rows == [(0.9, "missed"), (0.98765432109, "holds")]
        with pytest.raises(JudgeProblem, match="found another >= bound of ssim, expected one"):
            _ = JudgeTask(_THREE, _THREE, metrics=("ssim>=0.9", "ssim>=0.8")).limits


class TestCommand:
    def test_a_file_that_is_not_there_is_a_usage_error(self, capsys):
        assert main(["judge", "gone.py", "--baseline", str(_THREE)]) == 4
        assert "found no such file, expected a pipeline file" in capsys.readouterr().err

    def test_a_program_gets_one_object_for_it_too(self, capsys):
        assert main(["judge", "gone.py", "--baseline", str(_THREE), "--json"]) == 4
        assert json.loads(capsys.readouterr().out)["exit_code"] == 4

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--speedup=fast"],
            ["--no-such"],
            ["--metric", "ssim>=1.2.3"],
            ["--metric", "ssim"],
            ["--target", "."],
            [],
        ],
    )
    def test_a_program_gets_one_object_for_whatever_cannot_be_used(self, arguments, capsys):
        baseline = ["--baseline", str(_THREE)] if arguments else []
        assert main(["judge", str(_THREE), *baseline, *arguments, "--json"]) == 4
        told = json.loads(capsys.readouterr().out)
        assert (told["verdict"], told["exit_code"]) == ("usage", 4)
        assert "expected" in told["reason"] or "error: " in told["reason"]

    def test_a_system_that_has_no_room_is_an_object_too(self, capsys, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device", "/tmp/job")

        monkeypatch.setattr(command, "judge", full)
        assert main(["judge", str(_THREE), "--baseline", str(_THREE), "--json"]) == 4
        assert json.loads(capsys.readouterr().out)["reason"].startswith("/tmp/job: No space left on device")

    def test_a_name_that_is_none_is_a_usage_error_and_names_no_list_that_nobody_wrote(
        self, tmp_path, monkeypatch, capsys
    ):
        record = {"kind": "acceleration", "prompt_id": "candidate", "verdict": "error", "reason_code": "task_invalid",
                  "reason": "tasks.json, entry [0] (prompt_id 'candidate'): free is wrong; expected names"}  # fmt: skip
        monkeypatch.setattr(command, "run_questions", lambda *_: JudgedRun("", 1.0, {"records": [record]}))
        assert judge(JudgeTask(_THREE, _THREE, free=("x",)), as_json=True, environment={}) == 4
        assert json.loads(capsys.readouterr().out)["reason"] == "free is wrong; expected names"

    @pytest.mark.parametrize("argument", ["--speedup=-1", "--max-loss=2", "--speedup=fast"])
    def test_a_limit_that_is_none_is_a_usage_error(self, argument, capsys):
        assert main(["judge", str(_THREE), "--baseline", str(_THREE), argument]) == 4
        assert "expected a" in capsys.readouterr().err

    def test_what_pytest_refuses_is_said_in_its_words(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        arguments = ["--metric", "no_such>=1"]
        assert main(["judge", str(_THREE), "--baseline", str(_THREE), *arguments]) == 4
        assert "no_such" in capsys.readouterr().err

    def test_one_candidate_gets_its_verdict(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        more = [
            "--num-samples",
            "4",
            "--time-budget",
            "0",
            "--seed=0",
        ]  # another draw of 3 steps may score below 0
        kept = own_environment({kept_server.VARIABLE: arms.kept_server()})
        code = judge(JudgeTask(_THREE, _THREE), as_json=True, more=more, environment=kept)
        told = json.loads(capsys.readouterr().out)
        assert code == told["exit_code"] == 0, told
        assert told["verdict"] == "pass"
        assert Path(told["results"]).is_file()
        assert {gate["gate"] for gate in told["gates"]} >= {"configuration", "quality loss", "speedup"}

    def test_a_candidate_cannot_name_the_results(self, tmp_path, monkeypatch, capsys):
        forged = tmp_path / "forged.json"
        record = {**_record(), "kind": "acceleration", "prompt_id": "candidate"}
        forged.write_text(json.dumps({"run": {}, "records": [record]}))

        def run(*_, **__):
            return subprocess.CompletedProcess([], 1, f"what a candidate printed:\nresults: {forged}\n", None)

        monkeypatch.setattr(command.subprocess, "run", run)
        assert judge(JudgeTask(_THREE, _THREE), work_dir=tmp_path, environment={}) == 4
        assert "PASS" not in capsys.readouterr().out

    def test_the_environment_of_other_runs_names_no_other_task_and_takes_no_limit_away(self, monkeypatch):
        asked = []

        def run(_, *, env, **__):
            asked.append(env)
            return subprocess.CompletedProcess([], 4, "no results", None)

        monkeypatch.setattr(command.subprocess, "run", run)
        given = {"MODELGATE_TASKS": "other.json", "MODELGATE_REQUIRE": "", "MODELGATE_NUM_SAMPLES": "8"}
        assert run_questions([JudgeTask(_THREE, _THREE)], Path("out"), (), given).results is None
        assert sorted(asked[0]) == ["MODELGATE_NUM_SAMPLES", "MODELGATE_RESULTS_NAMED_IN"]

    def test_the_record_of_the_question_is_taken_and_no_other(self):
        others = [{"kind": "language", "id": "x"}, {"kind": "acceleration", "prompt_id": "other"}]
        assert JudgedRun("", 1.0, {"records": others}).record_of(JudgeTask(_THREE, _THREE)) is None
        own = {"kind": "acceleration", "prompt_id": "candidate"}
        assert JudgedRun("", 1.0, {"records": [*others, own]}).record_of(JudgeTask(_THREE, _THREE)) is own

    @pytest.mark.parametrize("options", [[], ["--json", "--speedup", "2"]])
    @pytest.mark.parametrize("more", [[], ["-k", "a", "--num-samples", "4", "--json"]])
    def test_what_follows_two_dashes_is_pytests(self, options, more, monkeypatch):
        asked = []
        monkeypatch.setattr(command, "judge", lambda question, **settings: asked.append(settings) or 0)
        assert main(["judge", "fast.py", "--baseline", "slow.py", *options, "--", *more]) == 0
        assert asked[0]["more"] == more

    def test_without_them_there_is_nothing_more(self, monkeypatch):
        asked = []
        monkeypatch.setattr(command, "judge", lambda question, **settings: asked.append(settings) or 0)
        assert main(["judge", "--baseline", "slow.py", "fast.py"]) == 0
        assert asked[0]["more"] == []


class TestWatch:
    def test_it_judges_again_when_a_file_is_saved(self, tmp_path, monkeypatch):
        candidate = tmp_path / "candidate.py"
        candidate.write_text("pipe = 1\n")
        asked = []

        def answer(question, **settings):
            asked.append((question.candidate.read_text(), settings["environment"]))
            return len(asked)

        def pause(_):
            candidate.write_text("pipe = 22\n")

        monkeypatch.setattr(command, "judge", answer)
        monkeypatch.setattr(command, "kept_server", _no_server)
        assert watch(JudgeTask(candidate, candidate), rounds=2, pause=pause, as_json=True) == 2
        assert [text for text, _ in asked] == ["pipe = 1\n", "pipe = 22\n"]

    def test_what_is_known_of_the_baseline_is_kept_until_it_changes(self, tmp_path, monkeypatch):
        names = ("candidate.py", "baseline.py", "helper.py")
        candidate, baseline, helper = (tmp_path / name for name in names)
        for file in (candidate, baseline, helper):
            file.write_text("pipe = 1\n")
        baseline.write_text("import helper\n")
        asked, saves = [], [(candidate, "pipe = 2\n"), (helper, "x = 1\n"), (baseline, "import candidate\n")]
        saves.append((candidate, "pipe = 33\n"))

        def answer(_, **settings):
            asked.append((settings["environment"][KEPT], settings["more"]))
            return 0

        def pause(_):
            file, text = saves.pop(0)
            file.write_text(text)
            os.utime(candidate, ns=(len(saves), len(saves)))  # saved as well, so that it is judged again

        monkeypatch.setattr(command, "judge", answer)
        monkeypatch.setattr(command, "kept_server", _no_server)
        watch(
            JudgeTask(candidate, baseline), rounds=5, pause=pause, as_json=True, more=["--num-samples", "2"]
        )
        kept = [folder for folder, _ in asked]
        assert kept[0] == kept[1], "the candidate alone was saved"
        assert len(set(kept)) == 4, "a module, the baseline, and then a candidate that the baseline imports"
        assert len({tuple(more) for _, more in asked}) == 1, "all on the same prompts and seeds"
        assert [argument.partition("=")[0] for argument in asked[0][1]] == ["--num-samples", "2", "--seed"]
        watch(JudgeTask(candidate, baseline), rounds=1, as_json=True, more=["--seed=7"])
        assert asked[-1][1] == ["--seed=7"]


class TestServer:
    @pytest.fixture
    def started(self, monkeypatch):
        """Return the environments of the servers that were started; each ends before it serves."""
        environments = []

        class Ended(nullcontext):
            def __init__(self, _, *, env, **__):
                super().__init__(self)
                environments.append(env)

            def poll(self):
                return 1

            def terminate(self):
                pass

        monkeypatch.setattr(command.subprocess, "Popen", Ended)
        monkeypatch.delenv("MODELGATE_FORK_SERVER", raising=False)
        return environments

    def test_it_has_no_secret_and_a_run_starts_its_own_where_it_does_not_come_up(self, started, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        with command.kept_server() as environment:
            assert "MODELGATE_FORK_SERVER" not in environment
            assert environment["HF_TOKEN"] == "hf_secret", "the run decides what its arms see"
        (seen,) = started
        assert "HF_TOKEN" not in seen
        assert seen["OMP_NUM_THREADS"] == "1"

    @pytest.mark.parametrize("more", [["--pass-env=HF_TOKEN"], ["--user-dir", "mine"]])
    def test_none_is_kept_that_the_run_would_not_take(self, started, more):
        with command.kept_server(more) as environment:
            assert environment == dict(os.environ)
        assert not started

    def test_one_that_serves_already_is_taken(self, started, monkeypatch):
        monkeypatch.setenv("MODELGATE_FORK_SERVER", "/somewhere")
        with command.kept_server() as environment:
            assert environment["MODELGATE_FORK_SERVER"] == "/somewhere"
        assert not started


class _no_server:  # noqa: N801  stands for a context manager
    def __init__(self, more=()):
        pass

    def __enter__(self):
        return {"KEPT": "yes"}

    def __exit__(self, *_):
        return None


class TestInit:
    def test_it_writes_a_task_and_says_what_to_do_next(self, tmp_path, capsys):
        folder = tmp_path / "mine"
        assert init(folder) == 0
        assert {path.name for path in folder.iterdir()} == {
            "baseline.py",
            "candidate.py",
            "tasks.json",
            "pytest.ini",
        }
        assert "modelgate judge candidate.py --baseline baseline.py" in capsys.readouterr().out
        for file in ("baseline.py", "candidate.py"):
            compile((folder / file).read_text(), file, "exec")

    def test_nothing_is_written_over(self, tmp_path, capsys):
        (tmp_path / "baseline.py").write_text("mine\n")
        assert init(tmp_path) == 4
        assert (tmp_path / "baseline.py").read_text() == "mine\n"
        assert not (tmp_path / "candidate.py").exists()
        assert "found baseline.py there" in capsys.readouterr().err
