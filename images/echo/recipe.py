"""A small HTTP server that tells its version and its host's name, in three versions: for tests of services and updates.
The manifests' names: skiff/echo:1, skiff/echo:2, skiff/echo:3."""
from compiled import program
from oci import Image, Layer


def build():
    # One layer for all: a version is only another environment.
    layer = Layer()
    layer.file("echo", program("echo/echo.cc"), 0o755)
    images = []
    for version in ("1", "2", "3"):
        image = Image([f"docker.io/skiff/echo:{version}"], [layer])
        image.config = {"Entrypoint": ["/echo"], "Env": [f"VERSION={version}"], "ExposedPorts": {"8080/tcp": {}}, "User": "65534:65534"}
        images.append(image)
    return images
