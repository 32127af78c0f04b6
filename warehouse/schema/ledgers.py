"""Bookkeeping of runs: what ran, which parts it committed, each night's list, what failed, what drifted."""

from __future__ import annotations

import pyarrow as pa

from warehouse.schema.table import STRING, STRINGS, Column, Table

RUNS = Table(
    "runs",
    "one row per committed run",
    (
        Column("run_id", STRING, "hash of what the run commits, 16 hex digits: committing it twice changes nothing"),
        Column("snapshot", pa.int64(), "lake snapshot the run read from"),
        Column("command", STRING, "the pass: scan | near | decide | export"),
        Column("batch", STRING, "label of the delivery, where the pass has one"),
        Column("engine", STRING, "engine that ran it: local | beam | spark | sql"),
        Column("recipe", STRING, "hash of the recipe, where the pass has one"),
        Column("versions", STRING, "versions of code, decoders and libraries that shaped the rows, JSON object"),
        Column("counts", STRING, "what the run counted, JSON object"),
        Column("seconds", pa.float64(), "wall seconds of the run"),
        Column("finished_at", pa.timestamp("us", tz="UTC"), "when it was committed"),
    ),
    key=("run_id",),
    ledger=True,
)

PARTS = Table(
    "parts",
    "one row per committed part: the ledger that lets a rerun skip what is done",
    (
        Column("run_id", STRING, "run that committed the part"),
        Column("table_name", STRING, "table the part belongs to"),
        Column("part", STRING, "name of the part: hash of everything that decides its content"),
        Column("unit", STRING, "key of the unit of work"),
        Column("rows", pa.int64(), "rows in the part"),
    ),
    ledger=True,
)

NIGHTS = Table(
    "nights",
    "one row per source and date that `glyphmill nightly` was run for: what was frozen, and how far it came",
    (
        Column("source", STRING, "name of the source, as in inputs"),
        Column("night", STRING, "the date, YYYY-MM-DD; the batch of what was new then"),
        Column("roots", STRINGS, "folders or files that were listed"),
        Column("units", pa.int64(), "units of work on the frozen list"),
        Column("samples", pa.int64(), "samples in them, as far as the listing tells"),
        Column("status", STRING, "frozen (the list is made) | scanned | done"),
        Column("versions", STRING, "what scan measured by: code, decoders and extractors, JSON; NULL until scanned"),
        Column("frozen_at", pa.timestamp("us", tz="UTC"), "when the list was made"),
        Column("scanned_at", pa.timestamp("us", tz="UTC"), "when the versions were set"),
    ),
    key=("source", "night"),
    ledger=True,
)

NIGHT_UNITS = Table(
    "night_units",
    "one row per unit on a night's frozen list: a rerun of that night does these and no others",
    (
        Column("source", STRING, "name of the source, as in inputs"),
        Column("night", STRING, "the date, YYYY-MM-DD"),
        Column("unit", STRING, "key of the unit as listed, as in inputs and parts"),
        Column("place", pa.int64(), "place on the list, from 0"),
        Column("states", pa.list_(pa.uint64()), "hash of each sample's file, sidecars and caption rows, as listed"),
        Column("content", STRING, "the unit: files in their state, ranges, caption rows; JSON; NULL: all forgotten"),
    ),
    key=("source", "night", "unit"),
    ledger=True,
)

ERRORS = Table(
    "errors",
    "one row per unit of work that could not be finished, whatever became of it since",
    (
        Column("command", STRING, "scan | inspect | categorize | export"),
        Column("unit", STRING, "key of the unit; but for scan: a hash of its images"),
        Column("source", STRING, "name of the source, as in inputs; of scan alone"),
        Column("batch", STRING, "label of the delivery, as in inputs; of scan alone, empty for others"),
        Column("recipe", STRING, "hash of the recipe that asked for it; of inspect and export"),
        Column("extractors", STRINGS, "name and version of each extractor, or of the categories, that was to run"),
        Column("images", STRINGS, "image_id of each image of the unit; empty for scan"),
        Column("content", STRING, "of scan: files in their state, ranges, caption rows; of categorize: settings; JSON"),
        Column("attempts", pa.int32(), "runs that gave the unit up; each had tried it several times"),
        Column("failure", STRING, "died | hung | raised, at the last attempt"),
        Column("error", STRING, "first line of what was last seen"),
        Column("traceback", STRING, "the rest of it: a traceback or a worker's last words"),
        Column("first_seen", pa.timestamp("us", tz="UTC"), "when it was given up first"),
        Column("last_seen", pa.timestamp("us", tz="UTC"), "when it was given up last"),
        Column("run_id", STRING, "run that gave it up last; NULL where that run committed nothing else"),
        Column("status", STRING, "open | resolved (a later run or a replay finished it)"),
    ),
    key=("command", "unit", "batch"),
    ledger=True,
)

DRIFT = Table(
    "drift",
    "one row per batch and statistic that `glyphmill watch` held against the batches before it",
    (
        Column("recipe", STRING, "hash of the recipe whose decisions were looked at, 16 hex digits"),
        Column("batch", STRING, "label of the delivery, as in inputs"),
        Column("kind", STRING, "signal | outcome | stage | rule | category | source: what `name` is one of"),
        Column("name", STRING, "the signal; or the outcome, stage, rule ... whose share it is"),
        Column("statistic", STRING, "missing (share not measured) | mean | p05 | p50 | p95 | psi | share"),
        Column("value", pa.float64(), "of the batch; of psi: how far its distribution lies from the baseline's"),
        Column("baseline", pa.float64(), "of the batches before it together; NULL for psi and where there is none"),
        Column("drift", pa.float64(), "how far it strayed, in the unit of `threshold`; NULL where it is not reckoned"),
        Column("threshold", pa.float64(), "the recipe's limit for it; NULL: none"),
        Column("breached", pa.bool_(), "the limit is passed; NULL where there is none, or too few images to tell"),
    ),
    key=("recipe", "batch", "kind", "name", "statistic"),
    ledger=True,
)
