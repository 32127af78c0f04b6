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
-- delivered and pairs that were found after the last decide are not in it.
CREATE OR REPLACE MACRO what_if(predicate, replaces := '[]', signals := 'lake.signals') AS TABLE
WITH chosen AS (
    FROM lake.current_recipe
    WHERE CASE WHEN list_has_all(list_transform(rules, lambda r: r.name), replaces::VARCHAR[]) THEN true
        ELSE error('the current recipe has not all of the rules ' || replaces::VARCHAR) END
),
pair AS MATERIALIZED (
    SELECT a, b, link = 'same' AS same
    FROM lake.near_pairs ANTI JOIN lake.edit_links USING (a, b)
    WHERE distance <= (SELECT max_distance FROM chosen)
        AND tile_distance <= (SELECT max_tile_distance FROM chosen)
        AND text_differs IS NOT TRUE
),
now AS MATERIALIZED (
    SELECT outcome, count(*) AS images FROM lake.decisions WHERE recipe = (SELECT recipe FROM chosen) GROUP BY outcome
),
other AS (  -- the rules that stay, as bits
    SELECT xor(18446744073709551615::UBIGINT, coalesce(bit_or(1::UBIGINT << (place - 1)), 0)::UBIGINT) AS bits
    FROM (SELECT unnest(rules) AS rule, generate_subscripts(rules, 1) AS place FROM chosen)
    WHERE list_contains(replaces::VARCHAR[], rule.name)
),
-- What fails no other rule, and whether another rule waits.
held AS (
    SELECT image_id, rank, pending_bits & (SELECT bits FROM other) <> 0 AS waits
    FROM lake.decisions
    WHERE recipe = (SELECT recipe FROM chosen) AND failed_bits & (SELECT bits FROM other) = 0
),
asked AS (SELECT image_id, (predicate) AS answer FROM query_table(signals)),
tally AS MATERIALIZED (
    SELECT
        CASE WHEN NOT answer THEN 'dropped' WHEN waits OR answer IS NULL THEN 'pending' ELSE 'kept' END AS outcome,
        count(*) AS images, list(struct_pack(image_id, rank)) FILTER (rank IS NOT NULL) AS paired
    FROM held LEFT JOIN asked USING (image_id)
    GROUP BY ALL
),
candidate AS MATERIALIZED (SELECT unnest(paired, recursive := true) FROM tally WHERE outcome = 'kept'),
duplicates AS (SELECT count(*) AS images FROM lake.resolve_duplicates('candidate', 'pair')),
total AS (
    SELECT
        (SELECT coalesce(sum(images), 0) FROM now) AS decided,
        (SELECT coalesce(sum(images), 0) FROM tally WHERE outcome = 'kept') AS passing,
        (SELECT coalesce(sum(images), 0) FROM tally WHERE outcome = 'pending') AS pending,
        (SELECT images FROM duplicates) AS duplicate
),
summed AS (
    SELECT o.outcome, o.place, coalesce(now.images, 0) AS now,
        CASE o.outcome
            WHEN 'kept' THEN passing - duplicate
            WHEN 'dropped' THEN decided - passing - pending
            WHEN 'pending' THEN pending
            ELSE duplicate END::BIGINT AS "then"
    FROM (VALUES ('kept', 1), ('dropped', 2), ('pending', 3), ('duplicate', 4)) AS o(outcome, place)
    CROSS JOIN total
    LEFT JOIN now USING (outcome)
)
SELECT outcome, now, "then", "then" - now AS change FROM summed ORDER BY place
