#!/usr/bin/env python3
"""How long the build takes, without ccache: cold release, after a change in one controller, cold with sanitizers.
usage: ./x bench build [--no-sanitizers]"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent
CHANGED = PROJECT / "src/controllers/namespace_controller.cc"


def timed(*command):
    begun = time.monotonic()
    subprocess.run(command, check=True, cwd=PROJECT, stdout=subprocess.DEVNULL, env={**os.environ, "CCACHE_DISABLE": "1"})
    return time.monotonic() - begun


def build(preset, folder):
    return timed("cmake", "--preset", preset, "-B", folder) + timed("ninja", "-C", folder, "skiff")


def main():
    folder = tempfile.mkdtemp(prefix="skiff-build-")
    try:
        print(f"cores: {os.cpu_count()}", flush=True)
        print(f"cold release build: {build('release', folder + '/release'):.0f} s", flush=True)
        CHANGED.touch()
        print(f"after a change in one controller: {timed('ninja', '-C', folder + '/release', 'skiff'):.1f} s", flush=True)
        if "--no-sanitizers" not in sys.argv:
            print(f"cold build with address and undefined-behaviour sanitizers: {build('asan', folder + '/asan'):.0f} s", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
