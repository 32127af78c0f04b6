-- The recipe decided with last: what `samples`, `funnel` and the other views of decisions speak of. No row before that.
CREATE OR REPLACE VIEW current_recipe AS
SELECT r.*
FROM recipes r
WHERE r.recipe = (SELECT recipe FROM runs WHERE command = 'decide' ORDER BY snapshot DESC, finished_at DESC LIMIT 1)
