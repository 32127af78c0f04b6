-- What another rule would keep, drop and leave pending under the current recipe; nothing is decoded, nothing written.
--
--   FROM lake.what_if(sharpness >= 120, replaces := ['clear'])
--
--   predicate  TRUE keeps an image, NULL leaves it pending
--   replaces   names of the rules it takes the place of; none: it comes on top of them
--   signals    name of the relation with image_id and the columns that the predicate reads; the view `signals`, or
--              just the table of one extractor, which is faster
--
-- Gives (outcome, now, then, change), exactly what `decide` would give with the changed recipe. Images that were
-- delivered after the last decide are not in it.
CREATE OR REPLACE MACRO what_if(predicate, replaces := '[]', signals := 'lake.signals') AS TABLE
WITH chosen AS (
    FROM lake.current_recipe
    WHERE CASE WHEN list_has_all(list_transform(rules, lambda r: r.name), replaces::VARCHAR[]) THEN true
        ELSE error('the current recipe has not all of the rules ' || replaces::VARCHAR) END
),
pair AS MATERIALIZED (
    SELECT a, b, link = 'same' AS same
    FROM lake.near_pairs
    WHERE distance <= (SELECT max_distance FROM chosen)
        AND tile_distance <= (SELECT max_tile_distance FROM chosen)
        AND text_differs IS NOT TRUE
),
paired AS MATERIALIZED (SELECT a AS image_id FROM pair UNION SELECT b FROM pair),
held AS (
    SELECT image_id, outcome,
        NOT list_has_all(replaces::VARCHAR[], failed_rules) AS fails, NOT list_has_all(replaces::VARCHAR[], pending_rules) AS waits
    FROM lake.decisions
    WHERE recipe = (SELECT recipe FROM chosen)
),
asked AS (SELECT image_id, (predicate) AS answer FROM query_table(signals)),
judged AS (
    SELECT image_id, outcome, paired.image_id IS NOT NULL AS is_paired,
        CASE WHEN fails OR NOT answer THEN 'dropped' WHEN waits OR answer IS NULL THEN 'pending' ELSE 'kept' END AS verdict
    FROM held LEFT JOIN asked USING (image_id) LEFT JOIN paired USING (image_id)
),
tally AS MATERIALIZED (
    SELECT outcome, verdict, count(*) AS images, list(image_id) FILTER (is_paired AND verdict = 'kept') AS paired_ids
    FROM judged
    GROUP BY outcome, verdict
),
passing AS (SELECT unnest(paired_ids) AS image_id FROM tally),
candidate AS MATERIALIZED (
    SELECT image_id, h.width::BIGINT * h.height AS area, nullif(p.sharpness_256, 'nan'::FLOAT) AS sharpness
    FROM passing
    LEFT JOIN (SELECT image_id, width, height FROM lake.signals_header SEMI JOIN passing USING (image_id)) h USING (image_id)
    LEFT JOIN (SELECT image_id, sharpness_256 FROM lake.signals_pixels SEMI JOIN passing USING (image_id)) p USING (image_id)
),
duplicates AS (SELECT count(*) AS images FROM lake.resolve_duplicates('candidate', 'pair')),
summed AS (
    SELECT o.outcome, o.place,
        coalesce((SELECT sum(images) FROM tally WHERE tally.outcome = o.outcome), 0)::BIGINT AS now,
        coalesce((SELECT sum(images) FROM tally WHERE verdict = o.outcome), 0)::BIGINT
            + CASE o.outcome WHEN 'kept' THEN -1 WHEN 'duplicate' THEN 1 ELSE 0 END * (SELECT images FROM duplicates) AS "then"
    FROM (VALUES ('kept', 1), ('dropped', 2), ('pending', 3), ('duplicate', 4)) AS o(outcome, place)
)
SELECT outcome, now, "then", "then" - now AS change FROM summed ORDER BY place
