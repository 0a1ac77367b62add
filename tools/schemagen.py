#!/usr/bin/env python3
"""Makes build/gen from schema/**/*.api and src/**/*.view (the forms: schema/README.md).

schemagen.py --out DIR      write what changed
schemagen.py --list         one line a generated file: layer (or LAYER_test), path below DIR
schemagen.py --check-lock   fail if schema/LOCK and the schema disagree
schemagen.py --write-lock   write schema/LOCK"""
import argparse
import pathlib
import sys

import schema_parse
import schema_tables
import schema_views

ROOT = pathlib.Path(__file__).resolve().parent.parent


def generated_paths(root):
    """(layer, path), from file names alone: CMake asks before anything is parsed."""
    for folder in sorted({path.parent for path in (root / "schema").rglob("*.api")}):
        yield "api", schema_tables.table_path(folder.parent.name, folder.name)
    yield "api", "api/schema_registry.cc"
    for path in schema_views.view_files(root):
        layer = path.relative_to(root / "src").parts[0]
        target = layer + "_test" if path.stem.endswith("_test") else layer
        yield from ((target, made) for made in schema_views.generated(layer, path.stem))


def generate(root, out):
    schema = schema_parse.load(root / "schema")
    files = schema_tables.Tables(schema).files()
    files |= schema_views.Views(schema, root).files()
    promised = {path for _, path in generated_paths(root)}
    if promised != set(files):
        raise schema_parse.SchemaError(f"--list and the output differ: {promised ^ set(files)}")
    for name, content in files.items():
        path = out / name
        if not path.exists() or path.read_text() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)


LOCK_FRONT = """\
# Every number and name of the wire format. A line never changes or goes once it was released:
# `tools/schemagen.py --write-lock` adds new ones, the test `schema_lock` compares.
"""


def lock_text(root):
    schema = schema_parse.load(root / "schema")
    lines = []
    for message in schema.messages.values():
        for field in message.fields:
            kind = field.message or field.type
            shape = {"Single": "", "List": "[]", "Map": "map "}[field.shape]
            lines.append(f"{message.name} {field.number} {field.name} {shape}{kind}")
    for kind in schema.kinds.values():
        where = kind.stored or kind.prefix or "-"
        lines.append(f"kind {kind.name} {kind.names[0]} {kind.scope} {where}")
    return LOCK_FRONT + "\n".join(sorted(lines)) + "\n"


def check_lock(root):
    path = root / "schema/LOCK"
    locked = set(path.read_text().splitlines() if path.exists() else [])
    now = set(lock_text(root).splitlines())
    for line in sorted(locked - now):
        print(f"schema/LOCK: gone from the schema, which may not be: {line}")
    for line in sorted(now - locked):
        print(f"schema/LOCK: new, run tools/schemagen.py --write-lock: {line}")
    return 1 if locked != now else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check-lock", action="store_true")
    parser.add_argument("--write-lock", action="store_true")
    options = parser.parse_args()
    try:
        if options.list:
            for layer, path in generated_paths(options.root):
                print(layer, path)
        elif options.check_lock:
            return check_lock(options.root)
        elif options.write_lock:
            (options.root / "schema/LOCK").write_text(lock_text(options.root))
        elif options.out:
            generate(options.root, options.out)
        else:
            parser.error("say what to do")
    except schema_parse.SchemaError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
