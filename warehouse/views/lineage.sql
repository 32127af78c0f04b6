-- One row per delivery: the file and offset it came from, the unit and part it was read in, the run, and the shard.
CREATE OR REPLACE VIEW lineage AS
SELECT
    i.image_id, i.source, i.batch, i.uri, i."offset", i.length, i."row", i.status, i.unit, p.part, p.run_id,
    r.finished_at AS committed_at, s.shard, s."offset" AS shard_offset, s.size AS shard_size
FROM inputs i
LEFT JOIN parts p ON p.table_name = 'inputs' AND p.unit = i.unit
LEFT JOIN runs r ON r.run_id = p.run_id
LEFT JOIN shard_index s ON s.image_id = i.image_id
