package scope_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// someID draws an id from a small world, so that ids are often above or below
// each other; names begin alike to catch comparisons of texts.
func someID(t *rapid.T) ids.ID {
	name := rapid.SampledFrom([]string{"a", "A", "ab", "b"})
	id := ids.ID{Subscription: name.Draw(t, "subscription")}
	if rapid.Bool().Draw(t, "in a group") {
		id.ResourceGroup = name.Draw(t, "group")
	}
	for range rapid.IntRange(0, 2).Draw(t, "resources") { // the second is an extension of the first
		if id.Namespace != "" {
			parent := id
			id = ids.ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup, Parent: &parent}
		}
		id.Namespace = "N"
		for range rapid.IntRange(1, 2).Draw(t, "segments") {
			id.Segments = append(id.Segments, ids.Segment{Type: "t", Name: name.Draw(t, "name")})
		}
	}
	return id
}

func below(at, above ids.ID) bool {
	return at.Key() == above.Key() || strings.HasPrefix(at.Key(), above.Key()+"/")
}

// Locked agrees with the plain rule: a lock above forbids, one below forbids
// deletion only.
func TestLockedIsTheRule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type placed struct {
			at    ids.ID
			level scope.LockLevel
		}
		var locks []placed
		for range rapid.IntRange(0, 4).Draw(t, "locks") {
			locks = append(locks, placed{someID(t), rapid.SampledFrom([]scope.LockLevel{scope.CanNotDelete, scope.ReadOnly}).Draw(t, "level")})
		}
		at, deletion := someID(t), rapid.Bool().Draw(t, "deletion")
		var want, got []string
		s := memstore.New()
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for i, l := range locks {
				name := string(rune('k' + i))
				if err := scope.PutLock(tx, l.at, scope.Lock{Scope: l.at.String(), Name: name, Level: l.level}); err != nil {
					return err
				}
				forbids := below(at, l.at) && (deletion || l.level == scope.ReadOnly) || deletion && below(l.at, at)
				if forbids && !slices.Contains(want, l.at.Key()) {
					want = append(want, l.at.Key())
				}
			}
			scopes, err := scope.Locked(tx, at, deletion)
			for _, text := range scopes {
				got = append(got, strings.ToLower(text))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Fatalf("locks %v: %s (deletion %v) is locked by %v, want %v", locks, at, deletion, got, want)
		}
	})
}

// A path leads from the root to the group, and Above is the same read backwards.
func TestHierarchyAbove(t *testing.T) {
	t.Parallel()
	h := scope.Hierarchy{TenantID: "root"}
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"root"}
		s := memstore.New()
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for i := range rapid.IntRange(0, 5).Draw(t, "groups") {
				g := scope.ManagementGroup{Name: string(rune('a' + i)), Parent: rapid.SampledFrom(names).Draw(t, "parent")}
				names = append(names, g.Name)
				if err := h.Put(tx, g); err != nil {
					return err
				}
			}
			in := rapid.SampledFrom(names).Draw(t, "in")
			if err := scope.PutSubscription(tx, scope.Subscription{ID: "s", Parent: strings.TrimPrefix(in, "root")}); err != nil {
				return err
			}
			path, err := h.Path(tx, in)
			if err != nil {
				return err
			}
			above, err := h.Above(tx, ids.ID{Subscription: "S", ResourceGroup: "g"})
			if err != nil {
				return err
			}
			if len(above) != len(path) || above[len(above)-1].Name() != "root" || above[0].Name() != in {
				t.Fatalf("path %v, above %v of a subscription in %s", path, above, in)
			}
			for i, g := range path {
				if above[len(above)-1-i].Name() != g.Name || i > 0 && g.Parent != path[i-1].Name {
					t.Fatalf("path %v, above %v", path, above)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
