package store

import "context"

// Scrub makes the driver overwrite what replaced and deleted values left in
// its files, in its log above all. Drivers that keep no files need not know it.
func Scrub(ctx context.Context, s Store) error {
	if d, ok := s.(interface{ Scrub(context.Context) error }); ok {
		return d.Scrub(ctx)
	}
	return nil
}

// Scrub passes through the sealing layer.
func (s *sealedStore) Scrub(ctx context.Context) error { return Scrub(ctx, s.inner) }
