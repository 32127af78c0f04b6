"""Every answer that was ever paid for, by what was asked. Nothing that is here is asked again."""

from __future__ import annotations

import sqlite3

from annotate.backends.base import Answer, Status


class AnswerCache:
    """Answers by (image_id, model, prompt version, payload hash), in the file that `annotate.store.connect` opens.

    An answer is stored before anybody counts it as done. A failure without an answer (`Status.ERROR`) is not kept.
    """

    def __init__(self, db: sqlite3.Connection, model: str, prompt_version: str) -> None:
        self._db = db
        self._whose = (model, prompt_version)

    def get(self, image_id: str, payload: str) -> Answer | None:
        """The stored answer, or None."""
        row = self._db.execute(
            "SELECT status, text, error, input_tokens, output_tokens, sends, seconds FROM answers "
            "WHERE image_id = ? AND model = ? AND prompt_version = ? AND payload = ?",
            (image_id, *self._whose, payload),
        ).fetchone()
        return None if row is None else Answer(Status(row[0]), *row[1:])

    def put(self, image_id: str, payload: str, answer: Answer) -> None:
        """Store an answer; the first one stored under a key stays. Raises ValueError for an error."""
        if answer.status is Status.ERROR:
            raise ValueError("an error is no answer")
        told = (answer.text, answer.error, answer.input_tokens, answer.output_tokens, answer.sends, answer.seconds)
        self._db.execute(
            "INSERT OR IGNORE INTO answers (image_id, model, prompt_version, payload, status, text, error, "
            "input_tokens, output_tokens, sends, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (image_id, *self._whose, payload, answer.status.value, *told),
        )

    def image_ids(self) -> list[str]:
        """Images with an answer to this model and prompt."""
        rows = self._db.execute(
            "SELECT DISTINCT image_id FROM answers WHERE model = ? AND prompt_version = ?", self._whose
        )
        return [image_id for (image_id,) in rows]

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM answers").fetchone()[0])
