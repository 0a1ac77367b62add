"""A headless Chromium, driven over its own pipe (the DevTools protocol): pages as a person sees them."""
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time


class Browser:
    def __init__(self, resolve=""):
        """`resolve`: Chromium's host rules, such as "MAP *.k8s 10.0.0.1"."""
        self.profile = tempfile.mkdtemp(prefix="skiff-browser-")
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The browser reads descriptor 3 and writes 4; bash moves them there, whatever they were (dash knows one digit).
        command = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", "chromium", "--headless=new", "--no-sandbox",
                   "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server", "--window-size=900,700",
                   f"--user-data-dir={self.profile}", f"--host-resolver-rules={resolve}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         env={**os.environ, "HOME": self.profile})
        os.close(to_browser)
        os.close(from_browser)
        self._pending, self._number, self._session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def _message(self, deadline):
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], max(0, deadline - time.monotonic()))
            content = os.read(self._read, 1 << 20) if ready else b""
            assert content, "the browser does not answer"
            self._pending += content
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, seconds=60, **parameters):
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            request["sessionId"] = self._session
        os.write(self._write, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            message = self._message(deadline)
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def open(self, url):
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script, seconds=20):
        deadline = time.monotonic() + seconds
        while True:
            value = self.run(f"(() => {{ try {{ return {script}; }} catch {{ return null; }} }})()")   # a page may be half there
            if value:
                return value
            assert time.monotonic() < deadline, f"not in the page: {script}\n{self.run('document.documentElement.outerHTML')[:2000]}"
            time.sleep(0.05)

    def screenshot(self, path):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self.profile, ignore_errors=True)
