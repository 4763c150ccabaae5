"""How far a job is, from its folder alone."""

import json
from typing import Any

from splitnet_server.rounds.folder import JobFolder


def status_of(folder: JobFolder) -> dict[str, Any]:
    """Return the state of a job as JSON values.

    "state" is "running", "finished", "stopped", "failed", or "interrupted" for a job whose process has died.

    Raises:
        NotFoundError: there is no job.
    """
    job, rounds = folder.job(), folder.checkpoint().rounds
    events = [json.loads(line) for line in _lines(folder)]
    played = [event for event in events if event["event"] == "round"]
    last = events[-1] if events else {"event": "interrupted"}
    ended = last["event"] if last["event"] in ("finished", "stopped", "failed") else "interrupted"
    return {
        "run": job.run,
        "state": "running" if folder.running else ended,
        "rounds": rounds,
        "of": job.settings.rounds,
        "last_round": played[-1] if played else None,
        "error": last.get("error"),
    }


def _lines(folder: JobFolder) -> list[bytes]:
    """Return the whole lines of the progress file; the last one may still be in the making."""
    if not folder.progress_path.exists():
        return []
    return [line for line in folder.progress_path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
