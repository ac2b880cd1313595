"""Sends alerts of the outbox as webhooks, in a thread of its own: signed, with retries, never lost, told once.

    POST URL
    X-Anomaly-Timestamp: seconds since 1970, when it was sent
    X-Anomaly-Signature: sha256=HMAC-SHA256(secret, timestamp + "." + body), as hex
    Idempotency-Key: the alert's id; the same on every try

How a receiver checks one, in Python:

    expected = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = abs(time.time() - int(timestamp)) < 300
    good = fresh and hmac.compare_digest("sha256=" + expected, signature)

An alert is sent at least once: a receiver that answered and was not heard gets it again, under the same key. The secret
comes from ANOMALY_WEBHOOK_SECRET and is neither kept nor logged. Knows HTTP and the outbox; not detectors.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from assistant.store.database import StoreError
from assistant.watch.ledger import Alert, Ledger
from detectors.errors import AnomalyError

SECRET = "ANOMALY_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
TIMEOUT = 10.0  # seconds for one try
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 900.0  # seconds between tries: doubled each time, up to the longest


class Sender:
    """Works through a watch's outbox."""

    def __init__(self, ledger: Ledger, url: str, say: Callable[[str], None], pause: float = FIRST_PAUSE) -> None:
        """Raises AnomalyError where the address is no web address or the secret is not there."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https") or not urllib.parse.urlsplit(url).netloc:
            raise AnomalyError("--webhook takes an http or https address.")
        secret = os.environ.get(SECRET, "")
        if not secret:
            raise AnomalyError(f"Alerts are signed: set {SECRET} to a secret that the receiver knows too.")
        self.ledger, self.url, self.say, self.pause = ledger, url, say, pause
        self._secret = secret.encode()
        self._opener = urllib.request.build_opener(_Stay)
        self._troubled = False
        self.stop, self.woken = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self.thread.start()

    def wake(self) -> None:
        """There is something new in the outbox."""
        self.woken.set()

    def close(self, patience: float = 5.0) -> None:
        """Send what can be sent within `patience` seconds; the rest waits in the store."""
        end = time.monotonic() + patience
        while self.ledger.due(time.time()) and time.monotonic() < end:
            self.wake()
            time.sleep(0.05)
        self.stop.set()
        self.wake()
        self.thread.join(TIMEOUT + 1)

    def _run(self) -> None:
        while not self.stop.is_set():
            try:
                for alert in self.ledger.due(time.time()):
                    if self.stop.is_set():
                        return
                    self._try(alert)
            except StoreError as error:
                self.say(f"The outbox cannot be read: {error}")
            self.woken.wait(0.5)
            self.woken.clear()

    def _try(self, alert: Alert) -> None:
        trouble = self.post(alert)
        if not trouble:
            self.ledger.sent(alert)
            self._troubled = False
            return
        wait = min(LONGEST_PAUSE, self.pause * 2**alert.tries) * random.uniform(0.8, 1.2)
        self.ledger.failed(alert, time.time() + wait, trouble)
        if not self._troubled:  # once, not at every try
            self.say(f"The webhook does not take alerts ({trouble}); they wait in the store and are tried again.")
            self._troubled = True

    def post(self, alert: Alert) -> str:
        """Send one alert; what went wrong, "" if nothing did."""
        body = json.dumps(alert.body, ensure_ascii=False).encode()
        headers = {**signed(self._secret, body, int(time.time())), "Content-Type": "application/json",
                   "Idempotency-Key": alert.key, "User-Agent": "anomaly-assistant"}  # fmt: skip
        request = urllib.request.Request(self.url, body, headers, method="POST")  # noqa: S310 - http(s) only, see above
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return "" if 200 <= answer.status < 300 else f"status {answer.status}"
        except urllib.error.HTTPError as error:
            return f"status {error.code}"
        except (OSError, ValueError) as error:
            return type(getattr(error, "reason", error)).__name__


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a signed alert goes where it was meant to go."""

    def redirect_request(self, *_: Any) -> None:
        return None


def signed(secret: bytes, body: bytes, timestamp: int) -> dict[str, str]:
    """The headers that prove a body's origin and age."""
    digest = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Anomaly-Timestamp": str(timestamp), "X-Anomaly-Signature": f"sha256={digest}"}


def verified(secret: bytes, body: bytes, timestamp: str, signature: str, now: float, within: float = 300.0) -> bool:
    """Whether an alert is ours and fresh: what a receiver does with the two headers and the body as it came."""
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > within:
        return False
    return hmac.compare_digest(signed(secret, body, int(timestamp))["X-Anomaly-Signature"], signature)
