-- How well each caption fits its picture, by every scorer: one row per image, caption and scorer.
SELECT '{rest}' AS scorer, * FROM {table}
