-- One row per distinct content: its first delivery by batch, source, uri, offset, and what its header says.
CREATE OR REPLACE VIEW images AS
SELECT
    i.image_id, h.media_type, coalesce(h.byte_size, i.length) AS byte_size, h.width, h.height,
    i.source, i.batch, i.uri, i."offset", i.length, i."row", i.source_url, i.license, i.opt_out, i.collected_at, i.extra
FROM inputs i
LEFT JOIN signals_header h USING (image_id)
WHERE i.status = 'ok'
