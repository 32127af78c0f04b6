-- One row per rule that people judged: of its drops under the current recipe that were looked at, how many are right,
-- with Wilson's 95 % interval (Wilson, J. Am. Stat. Assoc. 22, 1927). Verdicts on images that the rule no longer drops
-- do not count.
CREATE OR REPLACE VIEW audit_precision AS
WITH dropped AS (
    SELECT image_id, unnest(failed_rules) AS rule
    FROM decisions
    WHERE recipe = (SELECT recipe FROM current_recipe) AND len(failed_rules) > 0
),
judged AS (
    SELECT rule, count(*)::DOUBLE AS n, count(*) FILTER (verdict = 'right')::DOUBLE AS k
    FROM audits JOIN dropped USING (rule, image_id)
    GROUP BY rule
),
wilson AS (
    SELECT *, k / n AS p, 1.959964 AS z, 1 + 1.959964 * 1.959964 / n AS scale FROM judged
)
SELECT
    rule, n::BIGINT AS judged, k::BIGINT AS "right", p AS precision,
    greatest(0, (p + z * z / (2 * n) - z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / scale) AS low,
    least(1, (p + z * z / (2 * n) + z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / scale) AS high
FROM wilson
ORDER BY rule
