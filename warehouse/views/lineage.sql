-- One row per delivery: the file and offset it came from, the unit and part it was read in, the run, and the shard.
CREATE OR REPLACE VIEW lineage AS
SELECT
    i.image_id, i.source, i.batch, i.uri, i."offset", i.length, i."row", i.status, i.unit, c.part, c.run_id,
    c.committed_at, s.shard, s."offset" AS shard_offset, s.size AS shard_size
FROM inputs i
LEFT JOIN (
    -- a unit read again, in another batch or by a later version of the scan, has parts of its own
    SELECT
        p.unit, r.batch, arg_min(p.part, r.finished_at) AS part, arg_min(r.run_id, r.finished_at) AS run_id,
        min(r.finished_at) AS committed_at
    FROM parts p
    JOIN runs r ON r.run_id = p.run_id
    WHERE p.table_name = 'inputs'
    GROUP BY p.unit, r.batch
) c ON c.unit = i.unit AND c.batch = i.batch
LEFT JOIN shard_index s ON s.image_id = i.image_id
