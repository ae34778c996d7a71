"""Speeds of `vicino-qg` over those of the fastest peer and of hnswlib, repeat by repeat: `python3 ratios.py FILE.json...`;
of another engine of ours with `--of ENGINE`.

All engines of one repeat ran in the same minutes, so on a busy machine a ratio within a repeat says more than one of medians. Speeds are read
as `bench-ann report` reads them: on the Pareto front of one index, linear in log QPS between two settings, the engine's fastest index counting.
"""

import argparse
import json
import math
import statistics

OURS, BASELINE, TARGETS = "vicino", "hnswlib", (0.90, 0.95, 0.99, 0.995)


def front(points):
    """The (recall, QPS) that no other beats in both, by rising recall."""
    best, kept = -1.0, []
    for recall, qps in sorted(points, key=lambda point: (-point[0], -point[1])):
        if qps > best:
            kept.append((recall, qps))
            best = qps
    return kept[::-1]


def speed(points, target):
    """QPS at a recall; None where it is not reached."""
    before = None
    for recall, qps in points:
        if recall >= target:
            if before is None:
                return qps
            share = (target - before[0]) / (recall - before[0])
            return before[1] * math.exp(share * math.log(qps / before[1]))
        before = (recall, qps)
    return None


def fastest(runs, engines, repeat, target):
    """The highest speed of any index of `engines` in one repeat."""
    builds = {}
    for run in runs:
        if run["engine"] in engines:
            key = (run["engine"], json.dumps(run["build_params"]))
            builds.setdefault(key, []).append((run["recall"], run["qps_repeats"][repeat]))
    speeds = [speed(front(points), target) for points in builds.values()]
    return max((qps for qps in speeds if qps), default=None)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--of", default="vicino-qg")
    arguments.add_argument("files", nargs="+")
    arguments = arguments.parse_args()
    print("| set | recall | × fastest peer, median [range] | × hnswlib |\n|---|---|---|---|")
    for path in arguments.files:
        with open(path) as file:
            results = json.load(file)
        runs, dataset = results["runs"], results["dataset"]
        repeats = min(len(run["qps_repeats"]) for run in runs)
        peers = {run["engine"] for run in runs if not run["engine"].startswith(OURS)}
        for target in TARGETS:
            cells = []
            for others in (peers, {BASELINE}):
                pairs = [(fastest(runs, {arguments.of}, i, target), fastest(runs, others, i, target)) for i in range(repeats)]
                ratios = [ours / theirs for ours, theirs in pairs if ours and theirs]
                middle = statistics.median(ratios) if ratios else None
                cells.append(f"{middle:.2f} [{min(ratios):.2f} – {max(ratios):.2f}]" if ratios else "–")
            recall = f"{target:.3f}".strip("0").ljust(3, "0")
            print(f"| {dataset['name']}, {dataset['rows']:,} | {recall} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
