#!/usr/bin/env python3
"""Runs fuzz targets, two at a time: run.py PROGRAM [target... | all] [seconds]. What breaks one is kept in build/fuzz."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

program, rest = sys.argv[1], sys.argv[2:]
seconds = rest.pop() if rest and rest[-1].isdigit() else "20"
seed = ["--seed", os.environ["SKIFF_FUZZ_SEED"]] if "SKIFF_FUZZ_SEED" in os.environ else []
here = pathlib.Path(__file__).resolve().parent
crashes = here.parent.parent / "build/fuzz"
crashes.mkdir(parents=True, exist_ok=True)
targets = [target for target in rest if target != "all"] or subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()


def fuzz(target):
    corpus = here / "corpus" / target
    if not corpus.is_dir():
        return False, f"{target}: has no corpus in tests/fuzz/corpus\n"
    done = subprocess.run([program, "--target", target, "--corpus", corpus, "--crashes", crashes, "--seconds", seconds, *seed], capture_output=True, text=True, errors="replace")
    return done.returncode == 0, done.stdout + done.stderr


with concurrent.futures.ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
    outcomes = list(pool.map(fuzz, targets))
failed = [target for target, (good, _) in zip(targets, outcomes) if not good]
print("".join(text for _, text in outcomes), end="")
print(f"fuzz: {len(targets)} targets, {seconds} s each: " + (f"FAILED: {' '.join(failed)}" if failed else "ok"))
sys.exit(bool(failed))
