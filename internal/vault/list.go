package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// listObjects returns up to limit objects after the name in after, live or
// deleted ones, with the newest version of each. more tells that others follow.
func listObjects[T any](ctx context.Context, s *Service, sh shelf, v *Vault, deleted bool, after string, limit int) (out []found[T], more bool, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		var objects []Object
		for e, err := range tx.Scan(sh.objects, v.Incarnation+"/", v.Incarnation+"/"+strings.ToLower(after)) {
			if err != nil {
				return fmt.Errorf("list %s: %w", sh.area, err)
			}
			o, err := decodeObject(e)
			if err != nil {
				return err
			}
			if (o.Deleted != nil) != deleted || o.Deleted != nil && !s.now().Before(o.Deleted.PurgeAt) {
				continue
			}
			if len(objects) == limit {
				more = true
				break
			}
			objects = append(objects, o)
		}
		for _, o := range objects {
			f, err := readVersion[T](tx, sh, v, o, o.newest())
			if err != nil {
				return err
			}
			out = append(out, f)
		}
		return nil
	})
	return out, more, err
}

// listVersions returns up to limit versions of a live object after the version
// in after, oldest first.
func listVersions[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name, after string, limit int) (out []found[T], more bool, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		o, err := s.liveObject(tx, sh, v, name)
		if err != nil {
			return err
		}
		rest := o.Versions[slices.Index(o.Versions, after)+1:]
		if more = len(rest) > limit; more {
			rest = rest[:limit]
		}
		for _, id := range rest {
			f, err := readVersion[T](tx, sh, v, o, id)
			if err != nil {
				return err
			}
			out = append(out, f)
		}
		return nil
	})
	return out, more, err
}

func decodeObject(e store.Entry) (Object, error) {
	var o Object
	if err := json.Unmarshal(e.Value, &o); err != nil {
		return Object{}, fmt.Errorf("decode %s: %w", e.Key, err)
	}
	return o, nil
}
