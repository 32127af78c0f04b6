-- One row per signal that images wait for under the current recipe; an image that waits for two counts in both rows.
CREATE OR REPLACE VIEW pending AS
SELECT signal AS missing_signal, count(*) AS images
FROM (
    SELECT unnest(missing_signals) AS signal
    FROM decisions
    WHERE outcome = 'pending' AND recipe = (SELECT recipe FROM current_recipe)
)
GROUP BY signal
ORDER BY images DESC, signal
