-- One row per committed run, the last one first.
CREATE OR REPLACE VIEW run_history AS
SELECT finished_at, command, batch, engine, recipe, round(seconds, 1) AS seconds, counts, versions, snapshot, run_id
FROM runs
ORDER BY finished_at DESC
