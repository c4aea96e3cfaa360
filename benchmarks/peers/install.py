"""Environments of the peers: made on first use, from pins, one each."""

import hashlib
import shutil
import subprocess
import sys

from peers.contest import DidNotStart
from peers.peer import Peer

LAST_LINES = 12


def install(peer: Peer) -> None:
    """Make its environment, unless it is there and from the same pins.

    Raises:
        DidNotStart: that failed.
    """
    pins = peer.folder / "requirements.txt"
    stamp = peer.environment / ".installed"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {peer.name} (a minute or two, the first time only)", flush=True)
    shutil.rmtree(peer.environment, ignore_errors=True)
    command([sys.executable, "-m", "venv", str(peer.environment)])
    # The pins are all there is to install; what some of them ask of others is stricter than needed.
    pip = [peer.program("python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    command([*pip, "--disable-pip-version-check", "--requirement", str(pins)])
    stamp.write_text(wanted)


def command(words: list[str]) -> None:
    """Run it quietly.

    Raises:
        DidNotStart: it failed.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()[-LAST_LINES:]
        raise DidNotStart("it cannot be installed:\n" + "\n".join(lines))
