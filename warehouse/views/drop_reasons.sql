-- One row per rule of the current recipe: how many images fail it, and how many fail it and nothing else.
CREATE OR REPLACE VIEW drop_reasons AS
WITH rule AS (
    SELECT r.stage, r.name, r.predicate, place, 1::UBIGINT << (place - 1) AS bit
    FROM (SELECT unnest(rules) AS r, generate_subscripts(rules, 1) AS place FROM current_recipe)
),
tally AS (
    SELECT failed_bits, count(*) AS images
    FROM decisions
    WHERE recipe = (SELECT recipe FROM current_recipe) AND failed_bits > 0
    GROUP BY failed_bits
)
SELECT
    rule.stage, rule.name AS rule, rule.predicate,
    coalesce(sum(images), 0)::BIGINT AS failing,
    coalesce(sum(images) FILTER (failed_bits = bit), 0)::BIGINT AS failing_only_this
FROM rule
LEFT JOIN tally ON failed_bits & bit <> 0
GROUP BY ALL
ORDER BY failing DESC, min(place)
