-- db.c, on every connection: the schema's version
SELECT coalesce(max(number), 0)::int4 FROM jobq.migrations
