-- Which images are duplicates of which: exact greedy in rank order, the only place where this is decided.
--
-- Reads two relations that come before it in the WITH clause:
--   candidate(image_id, area, sharpness)   images that pass every rule and stand in some pair
--   pair(a, b, same)                       pairs that count under the recipe; same: b stands behind its leader a
-- Gives, as `duplicate`, (image_id, duplicate_of): every candidate that is not kept, with the best kept image it repeats.
--
-- Images linked as the same are one node, which ranks by its best candidate. Going from the best node down, a node is
-- kept unless a kept neighbour stands above it. The recursion does this in rounds: a node is judged as soon as a kept
-- neighbour above it is known, or all neighbours above it are judged; what order the rows come in plays no part.
rank AS (
  SELECT image_id, row_number() OVER (ORDER BY area DESC NULLS LAST, sharpness DESC NULLS LAST, image_id) AS place
  FROM candidate
),
leader AS (SELECT b AS image_id, min(a) AS node FROM pair WHERE same GROUP BY b),
member AS (
  SELECT r.image_id, r.place, coalesce(l.node, r.image_id) AS name,
    min(r.place) OVER (PARTITION BY coalesce(l.node, r.image_id)) AS node
  FROM rank AS r LEFT JOIN leader AS l USING (image_id)
),
named AS (SELECT DISTINCT name, node FROM member),
edge AS MATERIALIZED (
  SELECT DISTINCT least(x.node, y.node) AS above, greatest(x.node, y.node) AS below
  FROM pair AS p
  LEFT JOIN leader AS la ON la.image_id = p.a
  LEFT JOIN leader AS lb ON lb.image_id = p.b
  JOIN named AS x ON x.name = coalesce(la.node, p.a)
  JOIN named AS y ON y.name = coalesce(lb.node, p.b)
  WHERE NOT p.same AND x.node <> y.node
),
judged(node, kept) USING KEY (node) AS (
  SELECT DISTINCT above, true FROM edge WHERE above NOT IN (SELECT below FROM edge)
  UNION
  SELECT e.below, NOT coalesce(bool_or(j.kept), false)
  FROM (SELECT DISTINCT below FROM judged JOIN edge ON above = node
        WHERE below NOT IN (SELECT node FROM recurring.judged)) AS next
  JOIN edge AS e ON e.below = next.below
  LEFT JOIN recurring.judged AS j ON j.node = e.above
  GROUP BY e.below
  HAVING bool_or(j.kept) OR count(j.node) = count(*)
),
repeats AS (
  SELECT e.below AS node, min(e.above) AS of_node
  FROM edge AS e JOIN judged AS up ON up.node = e.above JOIN judged AS down ON down.node = e.below
  WHERE up.kept AND NOT down.kept
  GROUP BY e.below
),
duplicate AS (
  SELECT m.image_id, best.image_id AS duplicate_of
  FROM member AS m
  LEFT JOIN repeats AS r ON r.node = m.node
  JOIN member AS best ON best.place = coalesce(r.of_node, m.node)
  WHERE best.place <> m.place
)
