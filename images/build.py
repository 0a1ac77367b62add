#!/usr/bin/env python3
"""Builds every image below this folder: images/NAME/recipe.py becomes build/images/NAME.tar."""
import importlib.util
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
out = here.parent / "build" / "images"
sys.path.insert(0, str(here))
sys.dont_write_bytecode = True


def stale(target, folder):
    if not target.exists():
        return True
    newest = max(path.stat().st_mtime for path in [here / "oci.py", *folder.rglob("*")])
    return target.stat().st_mtime < newest


def main(wanted):
    out.mkdir(parents=True, exist_ok=True)
    for recipe in sorted(here.glob("*/recipe.py")):
        name = recipe.parent.name
        if wanted and name not in wanted:
            continue
        target = out / f"{name}.tar"
        if not stale(target, recipe.parent):
            continue
        spec = importlib.util.spec_from_file_location(f"recipe_{name}", recipe)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.build().write(str(target))
        print(f"images: {target.relative_to(here.parent)} ({target.stat().st_size // 1024} KiB)")


main(sys.argv[1:])
