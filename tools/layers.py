#!/usr/bin/env python3
"""Checks that src/ includes only what tools/layers.txt allows. One line a problem, exit status 1."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
allowed, problems, used = {}, [], set()

for line in (root / "tools/layers.txt").read_text().splitlines():
    if not line.strip() or line.startswith("#"):
        continue
    layer, uses = line.split(":")
    for use in uses.split():
        if use not in allowed:
            problems.append(f"layers.txt: {layer} names {use}, which is not above it")
    allowed[layer.strip()] = set(uses.split())

for path in sorted((root / "src").rglob("*.[hc]*")):
    layer = path.relative_to(root / "src").parts[0]
    name = path.relative_to(root)
    if layer not in allowed:
        problems.append(f"{name}: layer {layer} is not in layers.txt")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        target = found[1].split("/")[0]
        if "/" not in found[1] or target == ".." or target not in allowed:
            problems.append(f'{name}:{number}: include "{found[1]}" by its path from src/')
        elif target != layer and target not in allowed[layer]:
            problems.append(f"{name}:{number}: {layer} may not include {target}")
        elif target != layer:
            used.add((layer, target))

# What the generator makes of a view includes api's.
for path in (root / "src").rglob("*.view"):
    used.add((path.relative_to(root / "src").parts[0], "api"))

for layer, uses in allowed.items():
    if (root / "src" / layer).is_dir() and any((root / "src" / layer).iterdir()):
        for use in sorted(uses):
            if (layer, use) not in used:
                problems.append(f"layers.txt: {layer} no longer uses {use}; remove it")

print("\n".join(problems) or "layers: ok")
sys.exit(bool(problems))
