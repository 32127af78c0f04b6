-- Characters by level of the General Standard Chinese Characters and by the number of kept images that show them, under
-- the current recipe: level 1 is in daily use, 3 is rare, NULL is not in the standard. The level's five rows add up to
-- its size. `examples`: the first characters of the row, fewest images first. Empty before a balance.
CREATE OR REPLACE VIEW text_coverage AS
WITH token AS (
    SELECT
        level, token, images, chosen, copies,
        CASE WHEN images = 0 THEN 0 WHEN images < 10 THEN 1 WHEN images < 100 THEN 10 WHEN images < 1000 THEN 100
            ELSE 1000 END AS at_least
    FROM text_tokens
    WHERE kind = 'character' AND recipe = (SELECT recipe FROM current_recipe)
)
SELECT
    level,
    CASE at_least WHEN 0 THEN 'none' WHEN 1 THEN '1 to 9' WHEN 10 THEN '10 to 99' WHEN 100 THEN '100 to 999'
        ELSE '1000 and more' END AS images_with_it,
    count(*) AS characters,
    count(*) / sum(count(*)) OVER (PARTITION BY level) AS share_of_level,
    count(*) FILTER (chosen > 0) AS in_stage6,
    round(sum(copies), 2) AS copies,
    array_to_string(list(token ORDER BY images, token)[:20], '') AS examples
FROM token
GROUP BY level, at_least
ORDER BY level NULLS LAST, at_least
