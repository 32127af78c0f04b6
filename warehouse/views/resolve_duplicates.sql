-- Which images are duplicates of which: exact greedy in rank order. `decide` and `what_if` both ask here.
--
--   candidates  name of a relation (image_id, rank): images that pass every rule and stand in some pair, 1 the best
--   pairs       name of a relation (a, b, same): pairs that count under the recipe; same: b stands behind its leader a
--
-- Gives (image_id, duplicate_of) for every candidate that is not kept, with the best kept image that it repeats.
--
-- Candidates behind one leader are one node, which ranks as its best candidate does. Going from the best node down, a
-- node is kept unless a kept neighbour stands above it. The recursion peels the graph: what lies right below a node that
-- has nothing above it is a duplicate and leaves with its edges. The result is that of going down one by one, and no
-- order of rows or threads plays a part in it.
CREATE OR REPLACE MACRO resolve_duplicates(candidates, pairs) AS TABLE
WITH RECURSIVE
pair AS MATERIALIZED (FROM query_table(pairs)),
leader AS (SELECT b AS image_id, min(a) AS name FROM pair WHERE same GROUP BY b),
member AS MATERIALIZED (
    SELECT image_id, rank, coalesce(name, image_id) AS name, min(rank) OVER (PARTITION BY coalesce(name, image_id)) AS node
    FROM query_table(candidates) LEFT JOIN leader USING (image_id)
),
named AS (SELECT DISTINCT name, node FROM member),
edge AS MATERIALIZED (
    SELECT DISTINCT least(x.node, y.node) AS above, greatest(x.node, y.node) AS below
    FROM pair p
    LEFT JOIN leader la ON la.image_id = p.a
    LEFT JOIN leader lb ON lb.image_id = p.b
    JOIN named x ON x.name = coalesce(la.name, p.a)
    JOIN named y ON y.name = coalesce(lb.name, p.b)
    WHERE NOT p.same AND x.node <> y.node
),
-- Rows with `above` are the edges left, rows without name a node that was found to be a duplicate in the round before.
peel(above, below) AS (
    SELECT above, below FROM edge
    UNION ALL
    (
        WITH live AS (SELECT above, below FROM peel WHERE above IS NOT NULL),
        gone AS (SELECT DISTINCT below AS node FROM live ANTI JOIN (SELECT below AS above FROM live) USING (above))
        SELECT above, below FROM live
        ANTI JOIN (SELECT node AS above FROM gone) USING (above)
        ANTI JOIN (SELECT node AS below FROM gone) USING (below)
        UNION ALL
        SELECT NULL, node FROM gone
    )
),
dropped AS (SELECT below AS node FROM peel WHERE above IS NULL),
repeated AS (
    SELECT below AS node, min(above) AS of_node
    FROM edge
    SEMI JOIN (SELECT node AS below FROM dropped) USING (below)
    ANTI JOIN (SELECT node AS above FROM dropped) USING (above)
    GROUP BY below
)
SELECT m.image_id, best.image_id AS duplicate_of
FROM member m
LEFT JOIN repeated r ON r.node = m.node
JOIN member best ON best.rank = coalesce(r.of_node, m.node)
WHERE best.rank <> m.rank
