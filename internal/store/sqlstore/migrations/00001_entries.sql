-- +goose Up
-- Blobs, not text: keys sort and compare by their bytes.
CREATE TABLE entries (
    bucket BLOB NOT NULL,
    key    BLOB NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
) STRICT;

-- +goose Down
DROP TABLE entries;
