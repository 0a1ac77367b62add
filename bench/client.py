"""A minimal client of the API for benchmarks: one connection a call site, the admin's certificate."""
import base64
import http.client
import json
import ssl
import tempfile


class Api:
    def __init__(self, kubeconfig_json):
        config = json.loads(kubeconfig_json)
        user, server = config["users"][0]["user"], config["clusters"][0]["cluster"]
        self.host, self.port = server["server"].removeprefix("https://").rsplit(":", 1)
        self.context = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile("wb") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.context.load_cert_chain(pem.name)
        self.connection = self.connect()

    def connect(self):
        return http.client.HTTPSConnection(self.host, int(self.port), context=self.context, timeout=120)

    def call(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text)

    def watch(self, path):
        """Events as (type, object), on a connection of its own."""
        connection = self.connect()
        connection.request("GET", path)
        answer = connection.getresponse()
        while True:
            line = answer.readline()
            if not line:
                return
            event = json.loads(line)
            yield event["type"], event["object"]
