-- Images of one edit pair, two by two and either way round: they are made from each other and all wanted, so that none is
-- a duplicate of another.
CREATE OR REPLACE VIEW edit_links AS
SELECT DISTINCT a, b FROM (
    SELECT a, unnest(ids) AS b FROM (
        SELECT unnest(ids) AS a, ids
        FROM (SELECT list_append(reference_ids, target_id) AS ids FROM edits WHERE status = 'ok')
    )
)
WHERE a <> b
