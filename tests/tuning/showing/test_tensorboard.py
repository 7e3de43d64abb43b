"""TensorBoard itself: its server shows the search, and nothing heavy is imported to write for it."""

import http.client
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from shown_trials import ALL_STATUSES

from distill_tune.tuning.state.ledger import Ledger


def test_nothing_of_tensorflow_or_torch_is_imported() -> None:
    script = (
        "import sys, distill_tune.tuning.showing.tensorboard; print({'tensorflow', 'torch', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_real_tensorboard_serves_the_table(ledger: Ledger, tmp_path: Path) -> None:
    ledger.close()
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(tmp_path),
        "--port",
        "0",
        "--host",
        "127.0.0.1",
    ]
    log = tmp_path.parent / f"{tmp_path.name}.log"
    with log.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as server:
        try:
            groups = ask_for_groups(server, log, count=12)
        finally:
            server.terminate()
    by_name = {group["name"]: group for group in groups}
    assert by_name["0000"]["sessions"][0]["status"] == "STATUS_SUCCESS"
    assert by_name["0007"]["sessions"][0]["status"] == "STATUS_FAILURE"
    assert {group["hparams"]["student.family"] for group in groups} == {"mlp", "convnet"}


def ask_for_groups(server: "subprocess.Popen[bytes]", log: Path, count: int) -> list[dict[str, Any]]:
    """The session groups over HTTP, once TensorBoard has read them all."""
    body = json.dumps(
        {"experimentName": "", "allowedStatuses": ALL_STATUSES, "colParams": [], "startIndex": 0, "sliceSize": 99}
    )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        time.sleep(0.2)  # between polls; nothing is assumed to be done by then
        address = next((word for word in log.read_text().split() if word.startswith("http://127.0.0.1")), None)
        if address is None:
            continue
        request = urllib.request.Request(
            f"{address}data/plugin/hparams/session_groups", body.encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                groups: list[dict[str, Any]] = json.load(answer).get("sessionGroups", [])
        except (OSError, http.client.HTTPException):  # not ready yet
            continue
        if len(groups) >= count and all(group["sessions"][0].get("metricValues") for group in groups):
            return groups
    raise AssertionError(f"TensorBoard did not serve {count} trials: {log.read_text()}")
