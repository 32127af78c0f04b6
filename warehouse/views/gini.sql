-- Gini coefficient of a list of amounts: 0 where all are equal, near 1 where one has everything. NULL: nothing to tell.
--
--   SELECT lake.gini(list(copies)) FROM lake.text_tokens WHERE kind = 'character' AND images > 0
CREATE OR REPLACE MACRO gini(amounts) AS
    2 * list_sum(list_transform(list_sort(amounts), lambda amount, place: place * amount::DOUBLE))
        / nullif(len(amounts) * list_sum(amounts)::DOUBLE, 0) - (len(amounts) + 1) / len(amounts)
