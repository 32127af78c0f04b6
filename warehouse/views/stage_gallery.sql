-- Pictures to look at: up to 24 images of each rule that drops, of duplicates, of what stages 6 and 7 leave out, and of
-- what goes all the way, under the current recipe. They are chosen by a hash of rule and id, so they stay the same as long
-- as they fail the same. `images`: how many there are in all. `glyphmill gallery` draws them.
CREATE OR REPLACE VIEW stage_gallery AS
WITH decided AS (FROM decisions WHERE recipe = (SELECT recipe FROM current_recipe)),
placed AS (FROM balance WHERE recipe = (SELECT recipe FROM current_recipe)),
stage_of AS (
    SELECT r.name AS rule, r.stage FROM (SELECT unnest(rules) AS r FROM current_recipe)
),
leaving AS (
    SELECT d.image_id, s.stage, d.rule, 'dropped' AS outcome
    FROM (SELECT image_id, unnest(failed_rules) AS rule FROM decided WHERE outcome = 'dropped') d
    JOIN stage_of s USING (rule)
    UNION ALL
    SELECT image_id, NULL, 'near duplicate', 'duplicate' FROM decided WHERE outcome = 'duplicate'
    UNION ALL
    SELECT image_id, 6, 'more than the quota', 'left out' FROM placed WHERE NOT stage6
    UNION ALL
    SELECT image_id, 7, 'not the best of its leaf', 'left out' FROM placed WHERE stage6 AND NOT stage7
    UNION ALL
    SELECT image_id, NULL, 'kept', 'kept'
    FROM decided LEFT JOIN placed USING (image_id)
    WHERE decided.outcome = 'kept' AND coalesce(placed.stage7, true)
),
drawn AS (
    SELECT
        stage, rule, outcome, image_id,
        row_number() OVER (PARTITION BY stage, rule, outcome ORDER BY md5(rule || image_id)) AS place,
        count(*) OVER (PARTITION BY stage, rule, outcome) AS images
    FROM leaving
)
SELECT g.stage::TINYINT AS stage, g.rule, g.outcome, g.place, g.images, g.image_id, i.uri, i."offset", i.length, i."row"
FROM drawn g
JOIN (FROM inputs WHERE status = 'ok') i USING (image_id)
WHERE g.place <= 24
ORDER BY g.stage NULLS LAST, g.outcome DESC, g.rule, g.place
