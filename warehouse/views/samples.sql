-- Everything about an image in one row: delivery, signals, captions, the current recipe's verdict, place in the pool.
CREATE OR REPLACE VIEW samples AS
SELECT
    s.*,
    coalesce(c.caption_count, 0) AS caption_count,
    coalesce(c.longest_caption, 0) AS longest_caption,
    coalesce(c.synthetic, false) AS synthetic,
    coalesce(c.captions, []) AS captions,
    coalesce(a.annotated, false) AS annotated,
    a.* EXCLUDE (image_id, annotated),
    d.outcome, d.stage_reached, d.failed_rules, d.pending_rules, d.missing_signals, d.duplicate_of,
    x.shard, x.suffix, x."offset" AS shard_offset
FROM signals s
LEFT JOIN (
    SELECT
        image_id, count(*) AS caption_count, max(length(text)) AS longest_caption,
        bool_or(kind = 'synthetic') AS synthetic, list(text ORDER BY kind, caption_id) AS captions
    FROM captions
    GROUP BY image_id
) c ON c.image_id = s.image_id
LEFT JOIN annotated a ON a.image_id = s.image_id
LEFT JOIN (FROM decisions WHERE recipe = (SELECT recipe FROM current_recipe)) d ON d.image_id = s.image_id
LEFT JOIN shard_index x ON x.image_id = s.image_id
