"""Static programs of one source file, for images that hold nothing else."""
import pathlib
import subprocess
import tempfile

here = pathlib.Path(__file__).resolve().parent


def program(source):
    with tempfile.TemporaryDirectory() as folder:
        made = f"{folder}/program"
        subprocess.run(["g++", "-std=c++23", "-O2", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id=none",
                        str(here / source), "-o", made], check=True)
        return pathlib.Path(made).read_bytes()
