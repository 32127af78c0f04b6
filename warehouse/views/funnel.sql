-- The way down, row by row: what comes in, what fails, what waits, what goes on. Each row's `passed` is the next one's
-- `entered`, and entered = failed + pending + passed. A stage's `pending` are images that fail nothing and first wait
-- there; images that fail a rule of any stage are counted as failed at the first such stage, and go on until then.
-- Under a recipe with [balance], near duplicates leave before stage 6; what stages 6 and 7 do not take leaves there, and
-- stays kept: it is not trained at the scales of these stages.
CREATE OR REPLACE VIEW funnel AS
WITH chosen AS (FROM current_recipe),
stage AS (
    SELECT place, s.number, s.name
    FROM (SELECT unnest(stages) AS s, generate_subscripts(stages, 1) AS place FROM chosen)
),
rule AS (
    SELECT r.stage, 1::UBIGINT << (place - 1) AS bit
    FROM (SELECT unnest(rules) AS r, generate_subscripts(rules, 1) AS place FROM chosen)
),
verdict AS (
    SELECT outcome, CASE outcome WHEN 'dropped' THEN failed_bits ELSE pending_bits END AS bits, count(*) AS images
    FROM decisions
    WHERE recipe = (SELECT recipe FROM chosen)
    GROUP BY ALL
),
-- The stage at which an image leaves: the first it fails, or the first it waits at where it fails none.
leaving AS (
    SELECT v.outcome, v.images, min(r.stage) AS number
    FROM verdict v
    JOIN rule r ON v.bits & r.bit <> 0
    WHERE v.outcome IN ('dropped', 'pending')
    GROUP BY v.outcome, v.bits, v.images
),
delivered AS (SELECT status, count(*) AS images FROM inputs GROUP BY status),
-- What balance makes of the kept images; no row where the recipe was never balanced.
quota AS (
    SELECT count(*) FILTER (b.image_id IS NULL) AS waiting, count(*) FILTER (NOT b.stage6) AS left6,
        count(*) FILTER (b.stage6 AND NOT b.stage7) AS left7
    FROM (FROM decisions WHERE recipe = (SELECT recipe FROM chosen) AND outcome = 'kept')
    LEFT JOIN (FROM balance WHERE recipe = (SELECT recipe FROM chosen)) b USING (image_id)
    HAVING count(b.image_id) > 0
),
step AS (
    SELECT 0 AS place, NULL::TINYINT AS number, 'readable' AS name,
        coalesce(sum(images) FILTER (status = 'error'), 0) AS failed, 0 AS pending
    FROM delivered
    UNION ALL
    SELECT 1, NULL, 'not a repeat', coalesce(sum(images) FILTER (status = 'repeat'), 0), 0 FROM delivered
    UNION ALL
    SELECT 1 + s.place, s.number, s.name,
        coalesce(sum(l.images) FILTER (l.outcome = 'dropped'), 0)
            + coalesce(CASE s.number WHEN 6 THEN any_value(q.left6) WHEN 7 THEN any_value(q.left7) END, 0),
        coalesce(sum(l.images) FILTER (l.outcome = 'pending'), 0)
            + coalesce(CASE s.number WHEN 6 THEN any_value(q.waiting) END, 0)
    FROM stage s LEFT JOIN leaving l USING (number) LEFT JOIN quota q ON true
    GROUP BY s.place, s.number, s.name
    UNION ALL
    SELECT coalesce((SELECT 0.5 + min(place) FROM stage, quota WHERE number = 6), 1000), NULL, 'not a near duplicate', coalesce(sum(images) FILTER (outcome = 'duplicate'), 0), 0 FROM verdict
    UNION ALL
    SELECT 1001, NULL, 'decided', 0, undecided
    FROM (
        SELECT coalesce((SELECT images FROM delivered WHERE status = 'ok'), 0)
            - coalesce((SELECT sum(images) FROM verdict), 0) AS undecided
    )
    WHERE undecided <> 0
),
running AS (
    SELECT *, (SELECT coalesce(sum(images), 0) FROM delivered)
        - sum(failed + pending) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS passed
    FROM step
)
SELECT
    number AS stage, name, (passed + failed + pending)::BIGINT AS entered, failed::BIGINT AS failed,
    pending::BIGINT AS pending, passed::BIGINT AS passed
FROM running
ORDER BY place
