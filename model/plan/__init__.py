"""Plans: a curriculum on a lake, as files from which the batch of any step is worked out."""

from model.plan.plan import Plan as Plan
