-- +goose Up
-- The catalogue lists the segments of each log (bucket catalog.segments). The table is
-- the same; an older version, which would remove segments and leave them in the list,
-- must not open the file any more.
SELECT 1;

-- +goose Down
DELETE FROM entries WHERE bucket = CAST('catalog.segments' AS BLOB);
