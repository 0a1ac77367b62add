#!/usr/bin/env python3
"""Builds the images below this folder: images/NAME/recipe.py becomes build/images/NAME.tar. What has not changed
since is not built again. usage: build.py [NAME]..."""
import hashlib
import importlib.util
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
out = here.parent / "build" / "images"
sys.path.insert(0, str(here))
sys.dont_write_bytecode = True
import oci  # noqa: E402


def state_of(folder, more):
    """A hash over everything that the image is made from, but for the packages themselves."""
    digest = hashlib.sha256()
    for path in more:
        digest.update(path.read_bytes() if path.exists() else b"")
    sources = [*here.glob("*.py"), *here.glob("*/*.cc"), *(path for path in folder.rglob("*") if "node_modules" not in path.parts)]
    for path in sorted(sources):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def load(recipe):
    name = recipe.parent.name
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", recipe)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(wanted):
    out.mkdir(parents=True, exist_ok=True)
    recipes = {recipe.parent.name: recipe for recipe in sorted(here.glob("*/recipe.py"))}
    for name in wanted:
        if name not in recipes:
            sys.exit(f"images: there is no image '{name}'; there are {', '.join(recipes)}")
    for name in wanted or recipes:
        recipe = load(recipes[name])
        stamp, state = out / f"{name}.stamp", state_of(recipes[name].parent, getattr(recipe, "MADE_OF", ()))
        if stamp.exists() and stamp.read_text() == state and (out / f"{name}.tar").exists():
            continue
        built = recipe.build()
        target = out / f"{name}.tar"
        oci.write_images(str(target), built if isinstance(built, list) else [built])
        print(f"images: {target.relative_to(here.parent)} ({target.stat().st_size // 1024} KiB)", flush=True)
        stamp.write_text(state)


main(sys.argv[1:])
