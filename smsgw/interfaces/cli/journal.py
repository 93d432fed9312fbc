"""What a bulk run did: a file beside the CSV, by which a repeated run goes on.

One JSON object a line, each on the disk before the next step is taken: the job; ``begun`` before a
batch is posted, ``accepted`` after its answer. A batch begun and not accepted is in doubt, so it is
looked up before anything else is posted. A line that a crash cut short counts as not written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from smsgw.errors import Conflict

Json = dict[str, Any]


class Journal:
    """The journal of one file; use it with ``with``.

    Args:
        path: Where it is; made when it is missing.
        job: What is sent and how. A journal is of one job for ever.

    Attributes:
        accepted: Line of the file to message id.
        doubtful: The lines of the batch that may have been accepted, and since when (ISO 8601).

    Raises:
        Conflict: It is of another job, no journal, or another run is at work.
        OSError: It cannot be read or written.
    """

    def __init__(self, path: Path, job: Json) -> None:
        self.path = path
        self.accepted: dict[int, str] = {}
        self.doubtful: tuple[list[int], str] | None = None
        self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115
        try:
            self._lock()
            self._run = self._read(job)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def reference(self, line: int) -> str:
        """Return the reference of one row: no other row of any run has it."""
        return f"{self._run}-{line}"

    def key(self, lines: Sequence[int]) -> str:
        """Return the Idempotency-Key of a batch: the same for the same rows of this run."""
        rows = ",".join(map(str, lines))
        return hashlib.sha256(f"{self._run}:{rows}".encode()).hexdigest()

    def begin(self, lines: Sequence[int], at: str) -> None:
        """Record that a batch is about to be posted."""
        self._write({"begun": list(lines), "at": at})
        self.doubtful = list(lines), at

    def accept(self, lines: Sequence[int], ids: Sequence[str]) -> None:
        """Record that a batch was accepted."""
        self._write({"accepted": list(zip(lines, ids, strict=True))})
        self.accepted.update(zip(lines, ids, strict=True))
        self.doubtful = None

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{self.path}: another run is sending this file") from None

    def _read(self, job: Json) -> str:
        """Take over what was recorded; return the run's own name."""
        self._file.seek(0)
        octets = self._file.read()
        whole = octets.rfind(b"\n") + 1
        if not whole:
            if octets and not b'{"smsgw-send"'.startswith(octets[:13]):
                raise self._not_ours()
            self._file.truncate(0)
            run = f"{_digest(job)[:12]}-{secrets.token_hex(4)}"
            self._write({"smsgw-send": run, "job": job})
            return run
        try:
            first, *rest = map(json.loads, octets[:whole].splitlines())
            run, known = str(first["smsgw-send"]), first["job"]
            for one in rest:
                self._take(one)
        except (ValueError, KeyError, TypeError):
            raise self._not_ours() from None
        if known != job:
            changed = ", ".join(sorted(name for name in job if job[name] != known.get(name)))
            raise Conflict(
                f"{self.path}: {len(self.accepted)} rows were sent with another {changed}; run it "
                "as it was to go on, or move this journal away to send to everybody again"
            )
        self._file.truncate(whole)
        return run

    def _take(self, entry: Json) -> None:
        if "begun" in entry:
            self.doubtful = entry["begun"], entry["at"]
        else:
            self.accepted.update(entry["accepted"])
            self.doubtful = None

    def _not_ours(self) -> Conflict:
        return Conflict(f"{self.path}: is no journal of smsgw send; move it away")

    def _write(self, entry: Json) -> None:
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _digest(job: Json) -> str:
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()
