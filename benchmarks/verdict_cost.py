"""What a verdict costs: the shipped tasks judged by the suite, against the plain protocol on the same pairs.

Prints wall times and their ratios, all from one run of this script. Controls are left out on both sides, and
so is the torch.compile task, whose compiler takes the same time wherever it runs.

    python benchmarks/verdict_cost.py [--num-samples 64] [--batch-size 4] [--skip-serial]
"""

from __future__ import annotations

import argparse

from suite import CANDIDATES, CLIP, PROMPTS, TASKS, run_plain, run_suite

EXCLUDED = "not control and not ddim-11"


def main() -> None:
    """Run all three and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-samples", default="64")
    parser.add_argument("--batch-size", default="4")
    parser.add_argument("--skip-serial", action="store_true")
    arguments = parser.parse_args()
    sizes = ["--num-samples", arguments.num_samples, "--batch-size", arguments.batch_size]

    parallel_s, results = run_suite("-n", "4", "-k", EXCLUDED, *sizes)
    records = results["records"]
    ids = [str(record["prompt_id"]) for record in records]
    serial_s = None if arguments.skip_serial else run_suite("-k", EXCLUDED, *sizes)[0]
    plain_s, plain = run_plain(
        "--tasks", str(TASKS), "--candidates", str(CANDIDATES), "--prompts", str(PROMPTS), "--clip", str(CLIP),
        *sizes, "--only", *ids,
    )  # fmt: skip

    print(f"{len(records)} tasks, {arguments.num_samples} samples each, batches of {arguments.batch_size}")
    print(f"{'protocol':34}{'seconds':>9}{'plain / this':>14}")
    print(f"{'plain, one process, all cores':34}{plain_s:9.1f}{1:14.2f}")
    if serial_s is not None:
        print(f"{'modelgate, serial':34}{serial_s:9.1f}{plain_s / serial_s:14.2f}")
    print(f"{'modelgate, -n 4':34}{parallel_s:9.1f}{plain_s / parallel_s:14.2f}")
    if serial_s is not None:
        print(f"serial / -n 4: {serial_s / parallel_s:.2f}")
    print(f"verdicts of -n 4: {results['summary']['passed']} passed of {results['summary']['total']}")
    print(f"{'task':44}{'speedup [interval]':>24}{'plain':>8}{'loss':>9}{'plain':>9}")
    for record, peer in zip(records, plain, strict=True):
        speedup, loss = record["speedup"], record["quality"]["loss"]
        found = (
            f"{speedup['value']:.2f} [{speedup['low']:.2f}, {speedup['high']:.2f}]"
            if speedup["value"]
            else "-"
        )
        ours = "-" if loss is None else f"{100 * loss:.1f} %"
        print(f"{record['id']:44}{found:>24}{peer['ratio']:8.2f}{ours:>9}{100 * peer['loss']:7.1f} %")


if __name__ == "__main__":
    main()
