"""What was decided: recipes, decisions, balance, and where images stand in a dataset and in the pool."""

from __future__ import annotations

import pyarrow as pa

from warehouse.schema.table import IMAGE_ID, STRING, STRINGS, Column, Table

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
