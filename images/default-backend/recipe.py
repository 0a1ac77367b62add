"""What answers where no Ingress rule does: 404 everywhere, 200 at /healthz, port 8080. The echo server, told so."""
from compiled import program
from oci import Image


def build():
    image = Image(["gcr.io/google_containers/defaultbackend:1.0", "k8s.gcr.io/defaultbackend:1.0"])
    image.file("server", program("echo/echo.cc"), 0o755)
    image.config = {"Entrypoint": ["/server"], "Env": ["STATUS=404", "BODY=default backend - 404"],
                    "ExposedPorts": {"8080/tcp": {}}, "User": "65534:65534"}
    return image
