-- The captions an image may be trained with: its own (those of its repeats are among them) and its duplicates'.
CREATE OR REPLACE VIEW caption_pool AS
SELECT image_id, caption_id, kind, text, lang, origin, caption_of
FROM (
    SELECT coalesce(d.duplicate_of, c.image_id) AS image_id, c.caption_id, c.kind, c.text, c.lang, c.origin,
        c.image_id AS caption_of
    FROM captions c
    LEFT JOIN (
        SELECT image_id, duplicate_of FROM decisions
        WHERE outcome = 'duplicate' AND recipe = (SELECT recipe FROM current_recipe)
    ) d USING (image_id)
)
QUALIFY 1 = row_number() OVER (PARTITION BY image_id, caption_id ORDER BY caption_of <> image_id, caption_of)
