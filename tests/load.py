"""Requests that never stop while something is changed: counts the answers and keeps every failure."""
import collections
import http.client
import threading
import time
import typing


class Failure(typing.NamedTuple):
    began: float    # its connection
    failed: float
    first: bool     # of its connection
    what: str

    def cut_by(self, killed, back):
        return self.failed >= killed and self.began <= (killed if self.first else back)


class Load:
    """`with Load(host, port, …) as load:` asks from several threads until it ends. Each connection is used for a few requests,
    so that both new and kept connections meet the change."""

    def __init__(self, host, port, path="/", header=None, threads=4, requests_a_connection=20):
        self.host, self.port, self.path, self.header = host, port, path, header or {}
        self.requests_a_connection = requests_a_connection
        self.failures, self.answers = [], collections.Counter()
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def _run(self):
        while not self._stop.is_set():
            began, number = time.time(), 0
            connection = http.client.HTTPConnection(self.host, self.port, timeout=10)

            def failed(text):
                with self._lock:
                    self.failures.append(Failure(began, time.time(), number == 0, text))
            try:
                for number in range(self.requests_a_connection):
                    connection.request("GET", self.path, headers=self.header)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status == 200:
                        with self._lock:
                            self.answers[body.split(b" ")[0]] += 1
                    else:
                        failed(f"{answer.status} {body[:200]!r}")
                    if self._stop.is_set() or answer.will_close:
                        break
            except (OSError, http.client.HTTPException) as problem:
                failed(repr(problem))
                self._stop.wait(0.05)
            finally:
                connection.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    @property
    def total(self):
        with self._lock:
            return sum(self.answers.values())

    def none_failed(self, kills=()):
        """`kills`: from when to when whoever carried the requests was gone. What was open through it may be cut, nothing else."""
        failures = [one for one in self.failures if not any(one.cut_by(*kill) for kill in kills)]
        assert not failures, f"{len(failures)} of {self.total} requests failed, the first: {failures[:5]}"
        assert self.total > 0, "no request was answered"
