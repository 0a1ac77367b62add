#!/usr/bin/env python3
"""The house rules that a script can check. A line a problem, with what to use instead."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 800

# pattern, what to use instead, files (prefixes) that may
BANNED = [
    (r"std::chrono::(system|steady)_clock::now", "Clock", ["src/base/"]),
    (r"\b(std::)?(rand|srand)\(|std::random_device", "Random", ["src/base/"]),
    (r"std::this_thread::sleep", "Executor::after or a Waiter", ["src/base/"]),
    (r"\bstd::thread\b|\bpthread_create\b", "Executor", ["src/base/", "src/net/loop", "src/net/dial", "sim/", "src/store/crash", "src/agent/logs"]),
    (r"\bco_(await|return|yield)\b", "plain functions: g++ 12 miscompiles coroutines", []),
    (r"std::regex", "a parser of its own", []),
    (r"\bFIXME\b|\bXXX\b", "an issue, or the fix", ["tools/tidy.py"]),
    (r"(?<![\w/])/(work|farm)/", "no path of one machine", ["tools/tidy.py"]),
]

problems = []
tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
for name in tracked:
    path = root / name
    if not path.is_file() or path.suffix not in {".h", ".cc", ".py", ".md", ".txt", ".api", ".view", ".cmake", ""}:
        continue
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        continue
    code = path.suffix in {".h", ".cc"}
    if (code or path.suffix == ".py") and len(lines) > FILE_LINES_MAX:
        problems.append(f"{name}: {len(lines)} lines; what are its two purposes? (at most {FILE_LINES_MAX})")
    if path.suffix == ".h" and name.startswith("src/") and "#pragma once" not in lines:
        problems.append(f"{name}: #pragma once is missing")
    is_test = name.endswith(("_test.cc", "_bench.cc", "_fuzz.cc")) or "/testing" in name or "test_support" in name or "fixture" in name
    for number, line in enumerate(lines, 1):
        for pattern, instead, may in BANNED:
            if any(name.startswith(prefix) for prefix in may) or (is_test and "thread" in pattern):
                continue
            if (code or "work" in pattern or "FIXME" in pattern) and re.search(pattern, line):
                problems.append(f"{name}:{number}: '{re.search(pattern, line)[0]}' is banned; use {instead}")

print("\n".join(problems) or "tidy: ok")
sys.exit(bool(problems))
