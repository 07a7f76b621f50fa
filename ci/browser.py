"""A Chromium for the checks of ci/page.py and ci/readers.py; no Python packages."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

WIDTH, HEIGHT = 1600, 800
PATIENCE = 30  # seconds, for a machine that has much else to do


def check(condition, what):
    if not condition:
        sys.exit(f"ci/{pathlib.Path(sys.argv[0]).name}: {what}")


class Browser:
    """Chromium, driven through its debugging pipe: descriptors 3 and 4, messages that end in a zero byte."""

    def __init__(self, program):
        to_browser, self.out = os.pipe()
        self.inlet, from_browser = os.pipe()
        self.profile = tempfile.TemporaryDirectory()
        arguments = [
            "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.profile.name}",
            "--no-first-run", "--disable-gpu", "--hide-scrollbars",
            # Its sandbox wants rights that containers do not have; all it opens are files of ours.
            "--no-sandbox", "--disable-dev-shm-usage",
        ]
        # A shell puts the pipes where the browser wants them.
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, program, *arguments], pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL
        )
        os.close(to_browser)
        os.close(from_browser)
        self.rest, self.last, self.session, self.complaints = b"", 0, None, []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)

    def send(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.note(answer)

    def receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.inlet, 1 << 16)
            assert more, "the browser has ended"
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def note(self, event):
        """Keeps what a console would show in red."""
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert", "warning"):
            self.complaints.append(str(params["args"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"])

    def run(self, script):
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            check(False, f"{script}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def wait(self, condition):
        """Until this is true of the page; gives it back."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.run(condition)):
            check(time.monotonic() < deadline, f"in {PATIENCE} seconds this did not become true: {condition}")
            time.sleep(0.02)
        return found

    def go(self, address):
        # A link to another place in the same page would load nothing.
        self.send("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.send("Page.navigate", url=address)
        self.wait("location.protocol !== 'about:' && document.readyState === 'complete'")

    def open(self, page, link=""):
        """What the page says of itself once it has drawn, or given up."""
        self.go(pathlib.Path(page).resolve().as_uri() + link)
        said = self.wait("document.documentElement.dataset.drawn || document.documentElement.dataset.failed")
        return dict(pair.split("=") for pair in said.split(";")) if "=" in said else said

    def picture(self, path):
        png = base64.b64decode(self.send("Page.captureScreenshot")["data"])
        pathlib.Path(path).write_bytes(png)
        return png

    def mouse(self, kind, x, y, **more):
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        self.mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def key(self, key):
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=key if len(key) == 1 else "")
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def close(self):
        self.send("Browser.close")
        self.process.wait(20)
        self.profile.cleanup()
