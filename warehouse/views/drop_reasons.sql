-- One row per rule of the current recipe: how many images fail it, and how many fail it and nothing else.
CREATE OR REPLACE VIEW drop_reasons AS
WITH rule AS (
    SELECT place, r.stage, r.name, r.predicate
    FROM (SELECT unnest(rules) AS r, generate_subscripts(rules, 1) AS place FROM current_recipe)
),
tally AS (
    SELECT failed_rules, count(*) AS images
    FROM decisions
    WHERE recipe = (SELECT recipe FROM current_recipe) AND len(failed_rules) > 0
    GROUP BY ALL
)
SELECT
    rule.stage, rule.name AS rule, rule.predicate,
    coalesce(sum(images), 0)::BIGINT AS failing,
    coalesce(sum(images) FILTER (len(failed_rules) = 1), 0)::BIGINT AS failing_only_this
FROM rule
LEFT JOIN tally ON list_contains(tally.failed_rules, rule.name)
GROUP BY ALL
ORDER BY failing DESC, min(place)
