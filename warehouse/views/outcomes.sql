-- One row per delivered sample with its one outcome under the current recipe; NULL: delivered after the last decide.
-- An outcome is the first that holds of: error, repeat, pending, dropped, duplicate, kept.
CREATE OR REPLACE VIEW outcomes AS
SELECT
    i.source, i.batch, i.uri, i."offset", i."row", i.image_id,
    CASE WHEN i.status = 'ok' THEN d.outcome ELSE i.status END AS outcome,
    i.error, d.failed_rules, d.pending_rules, d.missing_signals, d.duplicate_of
FROM inputs i
LEFT JOIN (
    SELECT *, 'ok' AS status FROM decisions WHERE recipe = (SELECT recipe FROM current_recipe)
) d ON d.image_id = i.image_id AND d.status = i.status
