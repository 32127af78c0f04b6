"""Every table of the lake, every column with its type, unit and source. Arrow types are declared here and nowhere else.

A signal table is declared by its extractor (`pipelines/extractors`), which hands its columns to `signal_table`, so that
adding a signal touches one file; everything else is in `TABLES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

STRING = pa.string()
STRINGS = pa.list_(pa.string())


@dataclass(frozen=True)
class Column:
    """One column: `doc` says what it is, in what unit and where it comes from."""

    name: str
    type: pa.DataType
    doc: str


@dataclass(frozen=True)
class Aggregate:
    """A signal of an image made from its captions' rows: `sql` aggregates them, `none` is what an image without any
    caption has. While one of its captions is not measured yet, the signal is missing."""

    name: str
    sql: str
    doc: str
    none: str = "NULL"


@dataclass(frozen=True)
class Table:
    """One table of the lake.

    `key` names the columns that are unique after packing (empty: every row counts). `transient` columns depend on how
    work was cut into units or on file times, and are left out of content digests; a table with `ledger=True` is
    bookkeeping of runs and is left out whole. `aggregates`: what a table with a row per caption tells of the image.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    transient: frozenset[str] = field(default_factory=frozenset)
    ledger: bool = False
    aggregates: tuple[Aggregate, ...] = ()

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of a part of this table."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    def empty(self) -> pa.Table:
        return self.arrow.empty_table()

    def from_rows(self, rows: Iterable[Mapping[str, object]]) -> pa.Table:
        """Rows as dicts to an Arrow table of exactly this schema; a key the table does not have raises KeyError."""
        rows = list(rows)
        known = set(self.names)
        for row in rows:
            unknown = row.keys() - known
            if unknown:
                raise KeyError(f"table {self.name} has no column {sorted(unknown)}")
        return pa.Table.from_pylist([dict(r) for r in rows], schema=self.arrow)


#: Columns of this prefix hold embeddings: compared by cosine, since their last digits differ between machines.
EMBEDDING_PREFIX = "embedding_"

IMAGE_ID = Column("image_id", STRING, "first 128 bits of the SHA-256 of the original bytes, 32 hex digits")

INPUTS = Table(
    "inputs",
    "one row per delivered sample",
    (
        Column("source", STRING, "name of the source, from --source-name or the folder's or file's own name"),
        Column("batch", STRING, "label of the delivery, from --batch (a night's date, say)"),
        Column("unit", STRING, "key of the unit of work that read the sample: which file and range, in which state"),
        Column("row", pa.int64(), "position of the sample in its file, from 0; 0 where a file is one sample"),
        Column(
            "uri", STRING, "file the bytes came from, absolute path or URL: the tar or Parquet where they lie in one"
        ),
        Column("offset", pa.int64(), "byte offset of the image in that file; NULL where the format has none (Parquet)"),
        Column("length", pa.int64(), "bytes of the image"),
        Column("image_id", STRING, IMAGE_ID.doc + "; NULL only where there were no bytes"),
        Column("file_stamp", STRING, "state of the file when read: size and mtime in ns, or etag of an object"),
        Column("source_url", STRING, "where the image was collected from, as the source tells it"),
        Column("license", STRING, "licence as the source tells it"),
        Column("opt_out", pa.bool_(), "the source says that the rights holder opted out; NULL where it says nothing"),
        Column("collected_at", STRING, "when the source says it was collected, as the source writes it"),
        Column("extra", STRING, "every further field that the source delivered with the sample, JSON object"),
        Column("status", STRING, "ok | repeat (the same bytes were delivered before) | error"),
        Column("error", STRING, "reason of an error row: a short code, a colon, the detail; NULL otherwise"),
    ),
    key=("source", "batch", "uri", "row"),
    transient=frozenset({"unit", "file_stamp"}),
)

CAPTIONS = Table(
    "captions",
    "one row per image and distinct caption",
    (
        IMAGE_ID,
        Column("caption_id", STRING, "first 64 bits of the SHA-256 of kind and text, 16 hex digits"),
        Column("kind", STRING, "raw | recaption | fused | enhanced | synthetic"),
        Column("text", STRING, "the caption, as delivered"),
        Column("lang", STRING, "language as the source tells it, else guessed from the script; und where unknown"),
        Column("origin", STRING, "which file and field it came from: .txt, captions.csv:caption, json:caption ..."),
    ),
    key=("image_id", "caption_id"),
    # One text may come with several deliveries; the smallest origin survives, so that timing does not matter.
)

#: Best first: a caption checked against the picture before one as delivered.
CAPTION_KINDS = ("fused", "recaption", "enhanced", "synthetic", "raw")

NEAR_PAIRS = Table(
    "near_pairs",
    "one row per measured pair of images that look alike; a measurement, append-only",
    (
        Column("a", STRING, "image_id; the smaller of the two for link = near, the group's leader for link = same"),
        Column("b", STRING, "image_id"),
        Column("link", STRING, "near (alike) | same (equal hash, equal thumbnails: b stands behind a)"),
        Column("distance", pa.int16(), "Hamming distance of the perceptual hashes, bits"),
        Column("tile_distance", pa.float32(), "largest local over usual difference of the thumbnails, no unit"),
        Column("text_differs", pa.bool_(), "known text of the two differs; NULL where the text of either is not known"),
    ),
    key=("a", "b"),
)

NEAR_COMPARED = Table(
    "near_compared",
    "one row per image already compared with everything that was in the lake at that time",
    (IMAGE_ID, Column("version", STRING, "version of the hashes extractor whose hash was compared")),
    key=("image_id",),
)

DECISIONS = Table(
    "decisions",
    "one row per image and recipe",
    (
        IMAGE_ID,
        Column("recipe", STRING, "hash of the recipe's content, 16 hex digits"),
        Column("stage_reached", pa.int8(), "last stage passed with all stages before it passed too, 0 to 7"),
        Column("outcome", STRING, "kept | dropped | pending | duplicate"),
        Column("failed_rules", STRINGS, "every rule that is FALSE, in recipe order"),
        Column("pending_rules", STRINGS, "every rule that is NULL and so cannot be judged yet, in recipe order"),
        Column("missing_signals", STRINGS, "every signal that a rule needed and that is NULL, sorted"),
        Column("duplicate_of", STRING, "image_id of the better-ranked kept neighbour; NULL unless outcome = duplicate"),
        Column(
            "rank",
            pa.int64(),
            "place by size, sharpness, id among images in pairs that count, from 1; NULL: in no pair",
        ),
        Column("failed_bits", pa.uint64(), "failed_rules as a number: bit n is the recipe's n-th rule, from 0"),
        Column("pending_bits", pa.uint64(), "pending_rules as a number: bit n is the recipe's n-th rule, from 0"),
    ),
    key=("recipe", "image_id"),
)

PLACEMENTS = Table(
    "placements",
    "one row per image of a dataset version at a scale",
    (
        Column("dataset", STRING, "name of the dataset, from --dataset"),
        Column("version", STRING, "hash of the version's content, 16 hex digits"),
        IMAGE_ID,
        Column("scale", pa.int32(), "training scale: side in pixels of the square of equal area"),
        Column("category", STRING, "category path; NULL where the image is not classified yet"),
        Column("bucket", STRING, "aspect bucket, width:height"),
        Column("weight", pa.float32(), "expected copies of the image in one epoch"),
    ),
    key=("dataset", "version", "image_id", "scale"),
)

SHARD_INDEX = Table(
    "shard_index",
    "one row per stored image",
    (
        IMAGE_ID,
        Column("shard", STRING, "file name of the tar under shards/pool"),
        Column("suffix", STRING, "file suffix of the image member, without the dot"),
        Column("offset", pa.int64(), "byte offset of the image in the tar; its 512-byte header lies right before"),
        Column("size", pa.int64(), "bytes of the image"),
        Column("xxh3", pa.uint64(), "XXH3-64 of the image's bytes"),
        Column("json_offset", pa.int64(), "byte offset of the .json member's bytes in the tar"),
        Column("json_size", pa.int64(), "bytes of the .json member"),
        Column("txt_offset", pa.int64(), "byte offset of the .txt member's bytes; NULL where there is no caption"),
        Column("txt_size", pa.int64(), "bytes of the .txt member; NULL where there is no caption"),
    ),
    key=("image_id",),
)

#: The joint annotation as it is stored; `annotate.schema.Annotation` says what each part means.
ANNOTATION = pa.struct(
    [
        ("captions", pa.list_(pa.struct([("language", STRING), ("short", STRING), ("long", STRING)]))),
        (
            "objects",
            pa.list_(
                pa.struct([("name", STRING), ("attributes", STRINGS), ("count", pa.int32()), ("position", STRING)])
            ),
        ),
        ("scene", STRING),
        ("style", STRING),
        ("image_type", STRING),
        ("relations", pa.list_(pa.struct([("subject", STRING), ("predicate", STRING), ("object", STRING)]))),
        (
            "text_lines",
            pa.list_(
                pa.struct(
                    [
                        ("text", STRING),
                        ("language", STRING),
                        ("box", pa.struct([(edge, pa.int32()) for edge in ("left", "top", "right", "bottom")])),
                        ("legible", pa.bool_()),
                    ]
                )
            ),
        ),
        ("abnormal", STRINGS),
        ("category", STRINGS),
        ("confidence", pa.float32()),
    ]
)

#: Whose annotation of an image counts, best first.
ANNOTATORS = ("openai", "transformers", "rules")

ANNOTATIONS = Table(
    "annotations",
    "one row per image and annotator: everything said of the image in one request",
    (
        IMAGE_ID,
        Column("annotator", STRING, "backend: openai | transformers | rules"),
        Column("model", STRING, "name of the model, as the server or the folder of weights has it"),
        Column("prompt_version", STRING, "language, number and hash of the prompt's and schema's wording"),
        Column("status", STRING, "success | truncated | blocked | invalid | error"),
        Column("error", STRING, "what was wrong, in one line; NULL where status = success"),
        Column("annotation", ANNOTATION, "what was said, after the expert rules; NULL unless status = success"),
        Column("corrections", STRINGS, "names of the expert rules that changed it, in the order they were applied"),
        Column("raw", STRING, "the last answer as it came, at most 32,000 characters"),
        Column("input_tokens", pa.int64(), "tokens of all prompts about the image, as billed"),
        Column("output_tokens", pa.int64(), "tokens of all answers, as billed"),
        Column("attempts", pa.int32(), "requests sent, repeated and repairing ones included; 0: no model was asked"),
        Column("seconds", pa.float64(), "time of these requests, waiting for a retry included"),
    ),
    key=("image_id", "annotator", "model"),
    transient=frozenset({"attempts", "seconds"}),
)

AUDITS = Table(
    "audits",
    "one row per rule and image that a person judged: was it right to drop the image by that rule?",
    (
        Column("rule", STRING, "name of a rule of a recipe"),
        IMAGE_ID,
        Column("verdict", STRING, "right (the rule was right to drop it) | wrong"),
        Column("note", STRING, "what the person had to say; NULL where nothing"),
        Column("recipe", STRING, "hash of the recipe whose drop was judged, 16 hex digits"),
        Column("judged_at", pa.timestamp("us", tz="UTC"), "when the verdict was recorded"),
    ),
    key=("rule", "image_id"),
    transient=frozenset({"judged_at"}),
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
        Column("unit", STRING, "key of the unit, as in inputs and parts"),
        Column("place", pa.int64(), "place on the list, from 0"),
        Column("states", pa.list_(pa.uint64()), "hash of each sample's file, sidecars and caption rows, as listed"),
        Column("content", STRING, "the unit: files in their state, ranges, caption rows; JSON"),
    ),
    key=("source", "night", "unit"),
    ledger=True,
)

ERRORS = Table(
    "errors",
    "one row per unit of work that could not be finished, whatever became of it since",
    (
        Column("command", STRING, "scan | inspect"),
        Column("unit", STRING, "key of the unit; of inspect: a hash of its images"),
        Column("source", STRING, "name of the source, as in inputs; NULL for inspect"),
        Column("batch", STRING, "label of the delivery, as in inputs; empty for inspect"),
        Column("recipe", STRING, "hash of the recipe that asked for it; NULL for scan"),
        Column("extractors", STRINGS, "name and version of each extractor that was to run"),
        Column("images", STRINGS, "image_id of each image of a unit of inspect; empty for scan"),
        Column("content", STRING, "unit of scan: files in their state, ranges, caption rows; JSON; NULL for inspect"),
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

RECIPES = Table(
    "recipes",
    "one row per recipe ever decided with",
    (
        Column("recipe", STRING, "hash of the recipe's content, 16 hex digits"),
        Column("name", STRING, "the recipe's name"),
        Column("store_from", pa.int8(), "stage from which on an image's bytes enter the pool"),
        Column("stages", pa.list_(pa.struct([("number", pa.int8()), ("name", STRING)])), "number and name of each"),
        Column(
            "rules",
            pa.list_(pa.struct([("stage", pa.int8()), ("name", STRING), ("predicate", STRING), ("signals", STRINGS)])),
            "each rule: its stage, name, DuckDB predicate and the signals it reads",
        ),
        Column("max_distance", pa.int16(), "bits by which duplicates' hashes may differ; NULL: duplicates are kept"),
        Column("max_tile_distance", pa.float32(), "largest tile distance of duplicates; NULL: duplicates are kept"),
        Column("toml", STRING, "the recipe as it was written"),
    ),
    key=("recipe",),
)

BALANCE = Table(
    "balance",
    "one row per kept image and recipe: what stages 6 and 7 make of it",
    (
        IMAGE_ID,
        Column("recipe", STRING, "hash of the recipe's content, 16 hex digits"),
        Column("category", STRING, "path of the leaf; NULL where the image is not categorised yet"),
        Column("category_class", STRING, "class of stage 6, one of five: text-rich real images are Text Rendering"),
        Column("tracks", STRINGS, "tracks the image is on: text, portrait"),
        Column("probability", pa.float64(), "share of its leaf and track that stage 6 takes; NULL: it cannot be taken"),
        Column("stage6", pa.bool_(), "taken by stage 6, balance"),
        Column("stage7", pa.bool_(), "taken by stage 7 too, the best of its leaf"),
        Column("quality", pa.float32(), "quality from stored signals, 0 to 1; NULL where none of them is measured"),
        Column(
            "quality_rank", pa.int64(), "place by quality among the taken of its leaf and track, from 1; NULL: none"
        ),
        Column("scale", pa.int32(), "largest of the recipe's scales that the image has the pixels for; NULL: none"),
        Column("bucket", STRING, "aspect bucket, width:height"),
        Column("weight", pa.float32(), "expected copies in one epoch; 0 where stage 6 does not take it"),
    ),
    key=("recipe", "image_id"),
)

TAXONOMY = Table(
    "taxonomy",
    "one row per leaf and track that a recipe was balanced by, with its target",
    (
        Column("recipe", STRING, "hash of the recipe's content, 16 hex digits"),
        Column("taxonomy", STRING, "name of the taxonomy, a colon, the hash of its content"),
        Column("kind", STRING, "leaf | track"),
        Column("place", pa.int16(), "place in the taxonomy, from 0"),
        Column("category", STRING, "path of the leaf, or name of the track"),
        Column("category_class", STRING, "class of the leaf; class of stage 6 that a track stands for, if any"),
        Column("target", pa.float64(), "target share, 0 to 1: of everything for a leaf, a least share for a track"),
        Column("quota", pa.int64(), "images that stage 6 wants of it"),
    ),
    key=("recipe", "kind", "category"),
)

TEXT_TOKENS = Table(
    "text_tokens",
    "one row per character or word of the text in a recipe's kept images; characters of the standard with none, too",
    (
        Column("recipe", STRING, "hash of the recipe's content, 16 hex digits"),
        Column("token", STRING, "a character of Chinese, Japanese or Korean, or a word of other scripts, lower case"),
        Column("kind", STRING, "character | word"),
        Column("level", pa.int8(), "level in the General Standard Chinese Characters, 1 to 3; NULL: not in it"),
        Column("images", pa.int64(), "kept images with it"),
        Column("chosen", pa.int64(), "images with it that stage 6 takes"),
        Column("copies", pa.float64(), "expected copies in one epoch of images with it: the sum of their weights"),
    ),
    key=("recipe", "kind", "token"),
)

ACTIONS = Table(
    "actions",
    "one row per thing to be done for the data: what synthesis and mining read",
    (
        Column("action_id", STRING, "hash of what is asked for and of what was there, 16 hex digits"),
        Column("kind", STRING, "augment: make or find more images"),
        Column("category", STRING, "leaf that lacks images; NULL where a track or characters do"),
        Column("track", STRING, "track that lacks images: text | portrait; NULL: none"),
        Column("characters", STRINGS, "characters that the images are to show, rarest first; empty: no matter which"),
        Column("wanted", pa.int64(), "images wanted"),
        Column("reason", STRING, "why, in a sentence"),
        Column("recipe", STRING, "hash of the recipe whose balance asks, 16 hex digits"),
        Column("created_by", STRING, "pass that asks: balance"),
        Column("status", STRING, "open | done | refused"),
    ),
    key=("action_id",),
)

BLOCK_IMAGES = Table(
    "block_images",
    "one row per image of an evaluation set: neither it nor its near pairs may be trained on",
    (
        Column("evaluation_set", STRING, "name of the set, from --name"),
        IMAGE_ID,
        Column("uri", STRING, "where its first delivery came from"),
    ),
    key=("evaluation_set", "image_id"),
)

BLOCK_PROMPTS = Table(
    "block_prompts",
    "one row per prompt of an evaluation set: no caption may be one or share a run of 13 words with one",
    (
        Column("evaluation_set", STRING, "name of the set, from --name"),
        Column("prompt_id", STRING, "first 64 bits of the SHA-256 of the prompt, 16 hex digits"),
        Column("prompt", STRING, "the prompt as its file has it; the view evaluation_matches says how it is compared"),
    ),
    key=("evaluation_set", "prompt_id"),
)

EDITS = Table(
    "edits",
    "one row per delivered edit pair: reference pictures, an instruction, and the picture that it asks for",
    (
        Column("pair_id", STRING, "first 64 bits of the SHA-256 of image ids and instructions, 16 hex digits"),
        Column("source", STRING, "name of the source, as in inputs"),
        Column("batch", STRING, "label of the delivery, as in inputs"),
        Column("uri", STRING, "table or Parquet file that names the pair"),
        Column("row", pa.int64(), "position of the pair in that file, from 0"),
        Column("reference_ids", STRINGS, "image_id of each reference, in the order of the instruction's Picture 1, 2"),
        Column("target_id", STRING, "image_id of the picture asked for"),
        Column("instruction_en", STRING, "what to do, in English or in a language that is not Chinese; NULL: not told"),
        Column("instruction_zh", STRING, "what to do, in Chinese; NULL: not told"),
        Column("mask_uri", STRING, "picture that is white where the target may differ from the reference, or NULL"),
        Column("quad", pa.list_(pa.float32()), "x, y of four corners of that region, pixels of the target; or NULL"),
        Column("origin", STRING, "real | synthetic"),
        Column("same_size", pa.bool_(), "target and first reference are equally large"),
        Column("changed_share", pa.float32(), "share of the 64x64 luma that differs by more than 16 levels, 0 to 1"),
        Column(
            "identity",
            pa.float32(),
            "correlation of the 64x64 lumas of target and first reference outside the region, -1 to 1; 1: unchanged",
        ),
        Column("status", STRING, "ok | error"),
        Column("error", STRING, "why it is no usable pair; NULL otherwise"),
    ),
    key=("source", "batch", "uri", "row"),
)

EDIT_SCORES = Table(
    "edit_scores",
    "one row per usable edit pair and scorer of models.toml: what its embeddings say of the pair",
    (
        Column("pair_id", STRING, "as in edits; a pair that is delivered twice is scored once"),
        Column("scorer", STRING, "name of the scorer"),
        Column("version", STRING, "version of the scorer's embeddings, as in its signals_embedding table"),
        Column("alignment", pa.float32(), "cosine of the target and the instruction that fits it better, -1 to 1"),
        Column("similarity", pa.float32(), "cosine of the target and its first reference, -1 to 1"),
    ),
    key=("pair_id", "scorer"),
)

OCR_BLIND = Table(
    "ocr_blind",
    "one row per character that an OCR misreads even on a clean reference glyph; made by `glyphmill ocr blind`",
    (
        Column("engine", STRING, "recogniser: first 8 hex digits of its SHA-256, as in the version of signals_ocr"),
        Column("character", STRING, "one Unicode character"),
        Column("read_as", STRING, "what its glyph is read as; empty where nothing is read"),
    ),
    key=("engine", "character"),
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
        Column("baseline", pa.float64(), "of the batches before it taken together; NULL for psi and where there is none"),
        Column("drift", pa.float64(), "how far it strayed, in the unit of `threshold`; NULL where it is not reckoned"),
        Column("threshold", pa.float64(), "the recipe's limit for it; NULL: none"),
        Column("breached", pa.bool_(), "the limit is passed; NULL where there is none, or too few images to tell"),
    ),
    key=("recipe", "batch", "kind", "name", "statistic"),
    ledger=True,
)

FORGOTTEN = Table(
    "forgotten",
    "one row per image that was taken down: nothing else is known of it, and it is never admitted again",
    (
        IMAGE_ID,
        Column("reason", STRING, "why, from --reason"),
        Column("forgotten_at", pa.timestamp("us", tz="UTC"), "when it was taken down"),
    ),
    key=("image_id",),
    transient=frozenset({"forgotten_at"}),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        INPUTS,
        CAPTIONS,
        EDITS,
        EDIT_SCORES,
        OCR_BLIND,
        BLOCK_IMAGES,
        BLOCK_PROMPTS,
        NEAR_PAIRS,
        NEAR_COMPARED,
        DECISIONS,
        PLACEMENTS,
        SHARD_INDEX,
        RECIPES,
        ANNOTATIONS,
        AUDITS,
        BALANCE,
        TAXONOMY,
        TEXT_TOKENS,
        ACTIONS,
        NIGHTS,
        NIGHT_UNITS,
        ERRORS,
        RUNS,
        PARTS,
    )
}

SIGNAL_STATUS = (
    Column("version", STRING, "version of the extractor, its parameters and the decoders it used"),
    Column("status", STRING, "ok | error"),
    Column("error", STRING, "reason where status = error"),
)


def in_digests(table: str, column: str) -> bool:
    """Whether a column counts when two lakes are compared: not where it is transient, nor an embedding."""
    known = TABLES.get(table)
    return not column.startswith(EMBEDDING_PREFIX) and (known is None or column not in known.transient)


def signal_table(extractor: str, columns: Iterable[Column], doc: str) -> Table:
    """The table `signals_<extractor>`: image_id, version, the extractor's own columns, status, error."""
    version, status, error = SIGNAL_STATUS
    return Table(f"signals_{extractor}", doc, (IMAGE_ID, version, *columns, status, error), key=("image_id",))


def caption_signal_table(
    extractor: str, columns: Iterable[Column], doc: str, aggregates: tuple[Aggregate, ...] = ()
) -> Table:
    """The table `signals_<extractor>` with a row per image and caption: one that comes later is measured alone."""
    version, status, error = SIGNAL_STATUS
    caption = Column("caption_id", STRING, "caption that was measured, see `captions`")
    all_columns = (IMAGE_ID, caption, version, *columns, status, error)
    name = f"signals_{extractor}"
    return Table(name, doc, all_columns, key=("image_id", "caption_id"), aggregates=aggregates)
