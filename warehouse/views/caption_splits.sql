-- One row per kind of caption (raw, recaption, fused, enhanced, synthetic): images that have one, captions, the share of
-- usable ones among those measured, the median length in tokens, captions by language, and how many are not measured yet.
CREATE OR REPLACE VIEW caption_splits AS
SELECT
    c.kind,
    count(DISTINCT c.image_id) AS images,
    count(*) AS captions,
    count(*) FILTER (s.status = 'ok' AND s.invalid IS NULL) / nullif(count(s.status), 0)::DOUBLE AS valid_share,
    median(s.caption_tokens) AS median_tokens,
    count(*) FILTER (s.caption_lang = 'en') AS english,
    count(*) FILTER (s.caption_lang = 'zh') AS chinese,
    count(*) FILTER (s.caption_lang NOT IN ('en', 'zh')) AS other,
    count(*) - count(s.status) AS unmeasured
FROM captions c
LEFT JOIN signals_captions s USING (image_id, caption_id)
GROUP BY c.kind
ORDER BY c.kind
