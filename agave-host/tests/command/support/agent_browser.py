"""Types lines into the agent's page in headless Chromium, by WebDriver, with the keyboard alone.

Arguments: the page's URL, `-` or where to put a screenshot, and the lines; the page's fragment may
bring another, which is sent first. Prints the log's entries as JSON. Then goes on at each line of
standard input: the first time it waits until the page says that it is disconnected, and prints how;
the second time it reconnects, sends the first line again, and prints the last entry."""

import base64
import json
import subprocess
import sys
import tempfile
import time
import urllib.request

PATIENCE = 50
ENTER = "\ue007"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--window-size=900,760",
]


class Browser:
    def __init__(self, port, profile):
        self.base = f"http://127.0.0.1:{port}"
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.call("POST", "/session", capabilities={"alwaysMatch": capabilities})
        self.base += f"/session/{session['sessionId']}"

    def call(self, method, path, **body):
        request = urllib.request.Request(self.base + path, method=method)
        if method == "POST":
            request.data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)["value"]

    def script(self, script):
        return self.call("POST", "/execute/sync", script=f"return {script}", args=[])

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not self.script(condition):
            assert time.monotonic() < end, f"{condition}: {self.script('document.body.innerText')}"
            time.sleep(0.02)

    def press(self, keys):
        """Types where the focus is."""
        (element,) = self.call("GET", "/element/active").values()
        self.call("POST", f"/element/{element}/value", text=keys)

    def entries(self):
        return self.script("[...log.children].map((it) => [it.className, it.lastChild.textContent])")


def drive(browser, url, screenshot, lines):
    browser.call("POST", "/url", url=url)
    browser.until("state.textContent === 'connected'")
    # The line that the fragment brings was not sent, and is to be.
    brought = browser.script("line.value")
    assert browser.entries() == []
    for line in ([""] if brought else []) + lines:
        before = len(browser.entries())
        browser.press(line + ENTER)
        browser.until(f"log.childElementCount === {before + 2}")
    for entry in browser.entries():
        print(json.dumps(entry, ensure_ascii=False))
    if screenshot != "-":
        with open(screenshot, "wb") as file:
            file.write(base64.b64decode(browser.call("GET", "/screenshot")))
    # What the policy blocks would be told here, as would be errors of the script.
    told = browser.call("POST", "/se/log", type="browser")
    assert told == [], told
    print("typed", flush=True)

    sys.stdin.readline()
    browser.until("state.className === 'closed' && send.disabled && !reconnect.disabled")
    print(browser.script("state.textContent"), flush=True)

    sys.stdin.readline()
    before = len(browser.entries())
    browser.script("reconnect.focus()")
    browser.press(ENTER)
    browser.until("state.textContent === 'connected' && !send.disabled && reconnect.disabled")
    browser.press(lines[0] + ENTER)
    browser.until(f"log.childElementCount === {before + 2}")
    print(json.dumps(browser.entries()[-1], ensure_ascii=False), flush=True)


url, screenshot, *lines = sys.argv[1:]
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        port = next(it for it in driver.stdout if "successfully on port" in it)
        browser = Browser(port.split()[-1].rstrip("."), profile)
        try:
            drive(browser, url, screenshot, lines)
        finally:
            browser.call("DELETE", "")
    finally:
        driver.kill()
        driver.wait()
