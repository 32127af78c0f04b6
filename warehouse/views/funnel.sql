-- The way down, row by row: what comes in, what fails, what waits, what goes on. Each row's `passed` is the next one's
-- `entered`, and entered = failed + pending + passed. A stage's `pending` are images that fail nothing and first wait
-- there; images that fail a rule of any stage are counted as failed at the first such stage, and go on until then.
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
step AS (
    SELECT 0 AS place, NULL::TINYINT AS number, 'readable' AS name,
        coalesce(sum(images) FILTER (status = 'error'), 0) AS failed, 0 AS pending
    FROM delivered
    UNION ALL
    SELECT 1, NULL, 'not a repeat', coalesce(sum(images) FILTER (status = 'repeat'), 0), 0 FROM delivered
    UNION ALL
    SELECT 1 + s.place, s.number, s.name,
        coalesce(sum(l.images) FILTER (l.outcome = 'dropped'), 0),
        coalesce(sum(l.images) FILTER (l.outcome = 'pending'), 0)
    FROM stage s LEFT JOIN leaving l USING (number)
    GROUP BY s.place, s.number, s.name
    UNION ALL
    SELECT 1000, NULL, 'not a near duplicate', coalesce(sum(images) FILTER (outcome = 'duplicate'), 0), 0 FROM verdict
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
