"""The SQLite file beside a lake that remembers what was asked and what it cost.

Several processes may have it open, and one killed at any moment leaves it whole: write-ahead log, and every statement
is a transaction of its own. (A power cut may cost the transactions of the last moments, never the file.)
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from warehouse.files import told

#: In the lake's folder. It is no part of the lake: without it nothing is lost but money.
FILE = Path("annotate") / "requests.sqlite"
BUSY_S = 60.0


def connect(file: Path) -> sqlite3.Connection:
    """The file opened, made where it is not there. Raises LakeError where it cannot be written."""
    with told(f"opening {file}", file.parent.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(TABLES)
        return db


TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    image_id TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL,
    error TEXT,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    sends INTEGER NOT NULL,
    seconds REAL NOT NULL,
    stored_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (image_id, model, prompt_version, payload)
);
CREATE TABLE IF NOT EXISTS budgets (
    name TEXT PRIMARY KEY,
    requests INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0
);
"""
