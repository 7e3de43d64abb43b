"""Pictures of TensorBoard's HParams page for a search with stopped, failed and infeasible trials, in a real browser.

    .venv/bin/python benchmarks/tensorboard_pictures.py [--to docs/images]

Searches 64 students of the digits with a custom loss that fails for some configurations (`_picky_loss.py`), serves its
TensorBoard and captures the table and the parallel coordinates in headless Chromium, driven through the DevTools
protocol. --folder shows an existing TensorBoard folder instead.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
from _measure import ENVIRONMENT, ROOT, SHORT_CONFIRMATION, settings

SIZE = (1600, 1000)
PAGES = {"hparams": "TABLE VIEW", "parallel-coordinates": "PARALLEL COORDINATES VIEW"}
CLICK = """(label => {
  const all = root => [...root.querySelectorAll('*')].flatMap(e => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e])
  const tabs = all(document).filter(e => e.localName == 'paper-tab' && e.textContent.trim() == label)
  tabs.forEach(tab => tab.click())
  return tabs.length
})(%s)"""


def main() -> None:
    """Search, serve, and take the pictures."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--to", type=Path, default=ROOT / "docs/images")
    made.add_argument("--folder", type=Path, help="a tensorboard/ that is there already")
    made.add_argument("--chromium", default="/usr/bin/chromium")
    given = made.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = given.folder or search(scratch)
        server = started(stack, [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0"])
        url = next(word for line in server for word in line.split() if word.startswith("http://"))
        options = [
            "--headless=new",
            "--no-sandbox",
            "--remote-debugging-port=0",
            f"--user-data-dir={scratch / 'profile'}",
        ]
        browser = started(stack, [given.chromium, *options, "--hide-scrollbars", "about:blank"])
        endpoint = next(line.split()[-1] for line in browser if "listening on ws://" in line)
        given.to.mkdir(parents=True, exist_ok=True)
        asyncio.run(photograph(endpoint, f"{url.rstrip('/')}/#hparams", given.to))


def search(storage: Path) -> Path:
    """Search 64 trials; returns the TensorBoard folder."""
    command = [sys.executable, "-m", "distill_tune.search", "search_spaces/digits.toml", "--trials", "64"]
    command += ["--storage", str(storage), "--name", "picture", *SHORT_CONFIRMATION]
    command += settings("loss.kind='_picky_loss:Picky'")
    paths = os.pathsep.join([str(Path(__file__).parent), ENVIRONMENT["PYTHONPATH"]])
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT | {"PYTHONPATH": paths}, check=True)
    return storage / "picture" / "tensorboard"


def started(stack: ExitStack, command: list[str]) -> Any:
    """Start a process that ends with the stack; returns its output lines."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process.stdout


async def photograph(endpoint: str, url: str, to: Path) -> None:
    """Open the page in a new tab, and capture each of its views in turn."""
    async with aiohttp.ClientSession() as session, session.ws_connect(endpoint, max_msg_size=0) as socket:
        numbers = itertools.count(1)
        about: dict[str, str] = {}

        async def ask(method: str, **parameters: Any) -> dict[str, Any]:
            number = next(numbers)
            await socket.send_json({"id": number, "method": method, "params": parameters, **about})
            while True:
                answer = json.loads((await socket.receive()).data)
                if answer.get("id") == number:
                    return dict(answer["result"])

        target = await ask("Target.createTarget", url="about:blank")
        about["sessionId"] = (await ask("Target.attachToTarget", flatten=True, **target))["sessionId"]
        width, height = SIZE
        await ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        await ask("Page.navigate", url=url)
        for name, label in PAGES.items():
            for _ in range(120):
                found = await ask("Runtime.evaluate", expression=CLICK % json.dumps(label))
                if found["result"].get("value"):
                    break
                await asyncio.sleep(0.5)
            await asyncio.sleep(5)  # until it is drawn
            shot = await ask("Page.captureScreenshot", format="png")
            (to / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
