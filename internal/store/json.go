package store

import (
	"encoding/json"
	"fmt"
)

// GetJSON reads a value that PutJSON wrote.
func GetJSON[T any](tx Tx, bucket, key string) (T, error) {
	var v T
	data, err := tx.Get(bucket, key)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("decode %s/%s: %w", bucket, key, err)
	}
	return v, nil
}

// PutJSON writes v as JSON.
func PutJSON[T any](tx Tx, bucket, key string, v T) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s/%s: %w", bucket, key, err)
	}
	return tx.Put(bucket, key, data)
}

// ListJSON reads every value under a prefix, in key order.
func ListJSON[T any](tx Tx, bucket, prefix string) ([]T, error) {
	var out []T
	for e, err := range tx.Scan(bucket, prefix, "") {
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(e.Value, &v); err != nil {
			return nil, fmt.Errorf("decode %s/%s: %w", bucket, e.Key, err)
		}
		out = append(out, v)
	}
	return out, nil
}
