-- One row per leaf of the taxonomy under the current recipe: its target share, what there is, what stages 6 and 7 take,
-- the share of what stage 6 takes and its gap to the target, and what lacks of the quota. Empty before a balance.
CREATE OR REPLACE VIEW category_balance AS
WITH leaf AS (
    SELECT place, category_class, category, target, quota
    FROM taxonomy
    WHERE kind = 'leaf' AND recipe = (SELECT recipe FROM current_recipe)
),
told AS (
    SELECT
        category, count(probability) AS supply, count(*) FILTER (stage6) AS stage6, count(*) FILTER (stage7) AS stage7,
        round(sum(weight::DOUBLE), 2) AS copies
    FROM balance
    WHERE recipe = (SELECT recipe FROM current_recipe)
    GROUP BY category
),
whole AS (
    SELECT
        leaf.*, coalesce(supply, 0) AS supply, coalesce(stage6, 0) AS stage6, coalesce(stage7, 0) AS stage7,
        coalesce(copies, 0) AS copies,
        coalesce(stage6, 0) / nullif(sum(stage6) OVER (), 0) AS share,
        coalesce(copies, 0) / nullif(sum(copies) OVER (), 0) AS copies_share
    FROM leaf LEFT JOIN told USING (category)
)
SELECT
    category_class, category, supply, target, quota, stage6, share, share - target AS gap,
    greatest(0, quota - stage6) AS deficit, stage7, copies, copies_share
FROM whole
ORDER BY place
