"""Takes rows and files over HTTP and answers each with what was found in it, once that is kept.

    POST /            JSON rows ([{...}, ...]), CSV text, or a picture or data file as the body (its name in X-Filename)
    GET  /health      how many requests wait

A request is answered after its findings are in the store, so that whoever got no answer sends it again; with the same
Idempotency-Key it is judged once. The queue is short: where it is full, 429 with Retry-After asks to come back.
Loopback needs no token; elsewhere ANOMALY_PUSH_TOKEN is asked for as a bearer token. Knows HTTP and files; not stores.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import queue
import re
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from assistant import pipeline
from assistant.watch.judge import Judge
from assistant.watch.ledger import Dealt, Step
from assistant.watch.waiting import Waiter
from detectors.errors import AnomalyError

WAITING = 8  # requests that may wait to be judged
BODY = 64 * 2**20  # bytes of a request, at most
SLOWEST = 30.0  # seconds that a sender may take between two pieces
PATIENCE = 300.0  # seconds that a request waits for its judgement
TOKEN = "ANOMALY_PUSH_TOKEN"  # noqa: S105 - the name of a variable
KINDS = {"application/json": ".json", "text/csv": ".csv", "application/x-ndjson": ".jsonl", "image/png": ".png",
         "image/jpeg": ".jpg", "application/vnd.apache.parquet": ".parquet"}  # fmt: skip


@dataclass
class Request:
    """One request, until it is answered."""

    body: bytes
    name: str
    key: str
    answered: threading.Event = field(default_factory=threading.Event)
    status: int = 0
    reply: dict[str, Any] = field(default_factory=dict)

    def answer(self, status: int, reply: dict[str, Any]) -> None:
        self.status, self.reply = status, reply
        self.answered.set()


class PushFeed:
    """Steps from requests, in their order of arrival. Events at the end of a series are told once rows follow, or none
    has come for `idle` seconds."""

    ended = busy = False

    def __init__(self, judge: Judge, host: str, port: int, idle: float) -> None:
        """Raises AnomalyError where the port is taken, or a token is needed and not there."""
        self.judge, self.remarks = judge, []  # type: ignore[var-annotated]
        self.queue: queue.Queue[Request] = queue.Queue(WAITING)
        self.current: Request | None = None
        self.idle, self.latest = idle, time.monotonic()
        token = os.environ.get(TOKEN, "")
        if not token and not _loopback(host):
            raise AnomalyError(f"Listening at {host} lets others in: set {TOKEN} to a token that senders must give.")
        handler = type("Handler", (_Handler,), {"queue": self.queue, "token": token})
        try:
            self.server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise AnomalyError(f"Nothing can listen at {host}:{port} ({error.strerror or error}).") from None
        self.server.daemon_threads = True
        self.address = f"http://{host}:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self) -> Step | None:
        """The next request, judged."""
        try:
            self.current = self.queue.get_nowait()
        except queue.Empty:
            return self.judge.rest() if time.monotonic() - self.latest >= self.idle else None
        self.latest = time.monotonic()
        key = f"request:{self.current.key}" if self.current.key else ""
        known = self.judge.ledger.reply(key) if key else None
        if known is not None:
            self._over(200, {**known, "again": True})
            return None
        try:
            step = self._judged(self.current)
        except AnomalyError as error:
            self._over(422, {"error": str(error)})
            return None
        step.request = key
        return step

    def _judged(self, request: Request) -> Step:
        cursor, modality = self.judge.ledger.cursor, self.judge.modality
        with tempfile.TemporaryDirectory(prefix="anomaly-push-") as folder:
            file = Path(folder) / request.name
            file.write_bytes(request.body)
            data = replace(pipeline.read(file, modality), origin=self.judge.ledger.source)
            if modality == "series":
                return self.judge.stamps(data, cursor)
            if modality in ("image", "table"):
                count = self.judge.run.n_samples if self.judge.run else 0
                if modality == "table" and data.names and all(name.startswith("row ") for name in data.names):
                    data = replace(data, names=[f"row {count + i}" for i in range(len(data.names))])
                return self.judge.grow(data, None)
            return self.judge.whole(replace(data, origin=request.name), None, [Dealt(request.name, "")])

    def _over(self, status: int, reply: dict[str, Any]) -> None:
        assert self.current is not None
        self.current.answer(status, reply)
        self.current = None

    def kept(self, step: Step, findings: list[str], run: str | None) -> None:
        """The step of the request in hand is in the store: answer it."""
        if self.current is not None:
            self._over(200, {"run": run, "findings": findings, "judged": step.judged})

    def wait(self, waiter: Waiter) -> None:
        """Until a request has come, or a while."""
        for _ in range(max(1, int(waiter.every / 0.02))):
            if waiter.stop.is_set() or not self.queue.empty():
                return
            waiter.stop.wait(0.02)

    def close(self) -> None:
        """Stop listening; who still waits is told to come back."""
        self.server.shutdown()
        self.server.server_close()
        late = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for request in [*late, *([self.current] if self.current else [])]:
            request.answer(503, {"error": "The watch has stopped; send it again later."})


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    queue: queue.Queue[Request]
    token: str
    timeout = SLOWEST
    server_version, sys_version = "anomaly", ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.split("?")[0] != "/health":
            return self._say(404, {"error": "There is nothing here; POST to /."})
        return self._say(200, {"waiting": self.queue.qsize()})

    def do_POST(self) -> None:
        self.close_connection = True  # whatever is wrong with a request, the rest of its body is not read as another
        if self.token and not hmac.compare_digest(self._given(), self.token.encode()):
            return self._say(401, {"error": "A bearer token is needed."})
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            return self._say(411, {"error": "Content-Length is needed."})
        if int(length) > BODY:
            return self._say(413, {"error": f"At most {BODY // 2**20} MB a request."})
        kind = self.headers.get("Content-Type", "").split(";")[0].strip().lower()
        name = _file_name(self.headers.get("X-Filename", ""), KINDS.get(kind, ""))
        if not name:
            return self._say(415, {"error": f"Give Content-Type ({', '.join(KINDS)}) or X-Filename."})
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return None
        return self._queued(Request(body, name, self.headers.get("Idempotency-Key", "").strip()[:200]))

    def _given(self) -> bytes:
        return self.headers.get("Authorization", "").removeprefix("Bearer ").strip().encode("utf-8", "replace")

    def _queued(self, request: Request) -> None:
        try:
            self.queue.put_nowait(request)
        except queue.Full:
            return self._say(429, {"error": "Too many requests wait; send it again in a moment."}, {"Retry-After": "1"})
        if not request.answered.wait(PATIENCE):
            return self._say(503, {"error": "Not judged in time; send it again."}, {"Retry-After": "5"})
        return self._say(request.status, request.reply)

    def _say(self, status: int, reply: dict[str, Any], more: dict[str, str] | None = None) -> None:
        text = json.dumps(reply).encode()
        self.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
            **(more or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Nothing: the watch says what it finds, and a log of requests could hold secrets."""


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _file_name(given: str, suffix: str) -> str:
    """A plain name for a body: the last piece of what was given, without anything that a path could be made of."""
    plain = re.sub(r"[^\w.\- ]", "_", given.replace("\\", "/").rsplit("/", 1)[-1]).strip(". ")[-120:]
    return plain or (f"rows{suffix}" if suffix else "")
