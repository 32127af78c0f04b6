"""Text of images that is known, not looked at: what a synthesiser drew, what OCR read, which pictures are edits."""

from __future__ import annotations

import duckdb

from warehouse.metadata import relations

#: Table and query (image_id, text) of each source of known text; the first that knows an image is believed.
TEXTS: tuple[tuple[str, str], ...] = (("synth_text", "SELECT image_id, text FROM lake.synth_text"),)
#: Table and query (one, other) of pictures that are made from each other and are both wanted.
EDITS: tuple[tuple[str, str], ...] = (("edit_links", "SELECT a AS one, b AS other FROM lake.edit_links"),)


def find_known_text(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary tables `told` (image_id, text) and `edited` (image, other; each pair both ways).

    `told` has every image that text or an edit is known of, `text` is NULL for those only known as edits. Tables and
    views that the lake does not have say nothing.
    """
    tables = relations(con)
    con.execute("CREATE OR REPLACE TEMP TABLE told (image_id VARCHAR, text VARCHAR)")
    con.execute("CREATE OR REPLACE TEMP TABLE edited (image VARCHAR, other VARCHAR)")
    for table, query in TEXTS:
        if table in tables:
            con.execute(
                f"INSERT INTO temp.told SELECT image_id, text FROM ({query}) "
                "WHERE image_id NOT IN (SELECT image_id FROM temp.told)"
            )
    for table, query in EDITS:
        if table in tables:
            con.execute(
                f"INSERT INTO temp.edited SELECT one, other FROM ({query}) UNION SELECT other, one FROM ({query})"
            )
    con.execute(
        "INSERT INTO temp.told SELECT DISTINCT image, NULL FROM temp.edited "
        "WHERE image NOT IN (SELECT image_id FROM temp.told)"
    )
