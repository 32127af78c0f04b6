-- One row per distinct image with its measured signals, and what is worked out from them; NULL: not measured (yet),
-- which a value that is not a number counts as too.
CREATE OR REPLACE VIEW signals AS
SELECT
    i.image_id, i.source, i.batch, i.uri, i."offset", i.length, i."row", i.source_url, i.license,
    coalesce(i.opt_out, false) AS opted_out, i.collected_at, i.extra,
    h.* EXCLUDE (image_id, version, status, error) REPLACE (nullif(h.bits_per_pixel, 'nan') AS bits_per_pixel),
    least(h.width, h.height) AS min_side,
    greatest(h.width, h.height) AS max_side,
    greatest(h.width, h.height) / nullif(least(h.width, h.height), 0)::DOUBLE AS aspect,
    h.width * h.height::DOUBLE / 1e6 AS megapixels,
    p.* EXCLUDE (image_id, version, status, error) REPLACE (
        nullif(p.sharpness_256, 'nan') AS sharpness_256, nullif(p.luma, 'nan') AS luma,
        nullif(p.contrast, 'nan') AS contrast, nullif(p.saturation, 'nan') AS saturation,
        nullif(p.entropy, 'nan') AS entropy, nullif(p.texture, 'nan') AS texture,
        nullif(p.colourfulness, 'nan') AS colourfulness, nullif(p.border_share, 'nan') AS border_share
    ),
    nullif(p.sharpness_256, 'nan') AS sharpness
FROM inputs i
LEFT JOIN signals_header h USING (image_id)
LEFT JOIN signals_pixels p USING (image_id)
WHERE i.status = 'ok'
