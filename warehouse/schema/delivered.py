"""What sources delivered: samples, captions, edit pairs, evaluation sets; and what was taken down."""

from __future__ import annotations

import pyarrow as pa

from warehouse.schema.table import IMAGE_ID, STRING, STRINGS, Column, Table

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
