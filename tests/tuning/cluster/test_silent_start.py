"""Starting Ray in a thread prints nothing, even while the main thread catches warnings."""

import subprocess
import sys

START = """
import sys, warnings
from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.cluster.connection import Connection

class BetweenThem:
    caught = warnings.catch_warnings()

    def find_spec(self, name, path=None, target=None):
        if name == "requests":
            self.caught.__enter__()
        if name == "urllib3.contrib.socks":
            self.caught.__exit__()
            print("restored")

sys.meta_path.insert(0, BetweenThem())
assert "requests" not in sys.modules
with Connection(None, ResourcesConfig()) as connection:
    connection.wait()
"""
"""Another thread's `catch_warnings` is entered before Ray imports requests, and exited before requests imports
urllib3's proxies: rare in searches, but forced here."""


def test_filters_that_another_thread_restores_let_no_warning_through() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "restored\n", "")
