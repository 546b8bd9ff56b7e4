package vault

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func policies() *rapid.Generator[AccessPolicy] {
	names := strings.Fields(permissionNames()[0])
	return rapid.Custom(func(t *rapid.T) AccessPolicy {
		p := grant(rapid.SampledFrom([]string{owner, stranger, strings.ToUpper(stranger)}).Draw(t, "oid"), "", "get")
		p.Permissions.Keys = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(t, "keys")
		return p
	})
}

// TestPolicyAlgebra: what add gave is granted, what remove took is not, replace
// leaves exactly its own, and nobody else's entry moves.
func TestPolicyAlgebra(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []AccessPolicy
		for _, p := range rapid.SliceOf(policies()).Draw(t, "before") {
			list = changePolicy(list, PolicyAdd, p)
		}
		e := policies().Draw(t, "entry")
		others := func(l []AccessPolicy) []AccessPolicy {
			return slices.DeleteFunc(slices.Clone(l), func(p AccessPolicy) bool { return p.same(e) })
		}
		keys := func(l []AccessPolicy) []string {
			if i := slices.IndexFunc(l, e.same); i >= 0 {
				return l[i].Permissions.Keys
			}
			return nil
		}
		before := slices.Clone(list)
		added, replaced, removed := changePolicy(list, PolicyAdd, e), changePolicy(list, PolicyReplace, e), changePolicy(list, PolicyRemove, e)
		if cmp.Diff(before, list) != "" {
			t.Fatal("the list was changed in place")
		}
		for _, l := range [][]AccessPolicy{added, replaced, removed} {
			if diff := cmp.Diff(others(before), others(l), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("another entry moved (-before +after)\n%s", diff)
			}
			if n := len(l) - len(others(l)); n > 1 {
				t.Fatalf("%d entries of one identity", n)
			}
		}
		for _, name := range e.Permissions.Keys {
			if !slices.Contains(keys(added), name) || slices.Contains(keys(removed), name) {
				t.Fatalf("%s: added %v, removed %v", name, keys(added), keys(removed))
			}
		}
		if diff := cmp.Diff(e.Permissions.Keys, keys(replaced)); diff != "" {
			t.Fatalf("replaced (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(added, changePolicy(added, PolicyAdd, e)); diff != "" {
			t.Fatalf("adding twice differs\n%s", diff)
		}
	})
}

// TestProtectionNeverWeakens: no sequence of updates takes soft delete, purge
// protection or retention back.
func TestProtectionNeverWeakens(t *testing.T) {
	t.Parallel()
	boolean := rapid.Ptr(rapid.Bool(), true)
	rapid.Check(t, func(t *rapid.T) {
		var v Vault
		for i := range rapid.IntRange(1, 8).Draw(t, "writes") {
			in := Input{SoftDelete: boolean.Draw(t, "soft"), PurgeProtection: boolean.Draw(t, "purge"), RetentionDays: rapid.Ptr(rapid.IntRange(0, 100), true).Draw(t, "days")}
			next := v
			if err := in.applyProtection(&next, i == 0, rapid.Bool().Draw(t, "old")); err != nil {
				if i == 0 {
					return
				}
				continue
			}
			if i > 0 && (v.SoftDelete && !next.SoftDelete || v.PurgeProtection && !next.PurgeProtection || v.RetentionDays != 0 && v.RetentionDays != next.RetentionDays) {
				t.Fatalf("%+v became %+v", v, next)
			}
			if next.PurgeProtection && !next.SoftDelete || next.SoftDelete != (next.RetentionDays != 0) || next.RetentionDays != 0 && (next.RetentionDays < 7 || next.RetentionDays > 90) {
				t.Fatalf("a state that cannot be: %+v", next)
			}
			v = next
		}
	})
}

// TestRotationPolicyRoundTrip: a policy that is accepted comes back as it was.
func TestRotationPolicyRoundTrip(t *testing.T) {
	t.Parallel()
	period := rapid.StringMatching(`P([1-9]Y)?([1-9]M)?([3-9][0-9]D)`)
	rapid.Check(t, func(t *rapid.T) {
		want := RotationPolicy{NotifyBeforeExpiry: period.Draw(t, "notify"), Expiry: period.Draw(t, "expiry"), RotateAfterCreate: period.Draw(t, "rotate")}
		data, err := json.Marshal(want.body())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRotationPolicy(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

func TestDurations(t *testing.T) {
	t.Parallel()
	at := time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"P90D": at.AddDate(0, 0, 90), "p1y6m": at.AddDate(1, 6, 0), "P2W": at.AddDate(0, 0, 14), "PT36H": at.Add(36 * time.Hour), "P1DT1H2M3S": at.AddDate(0, 0, 1).Add(3723 * time.Second),
	} {
		d, err := parseDuration(text)
		if err != nil || !d.after(at).Equal(want) {
			t.Errorf("%s: %v %v", text, d, err)
		}
		if text == "P90D" && !d.before(want).Equal(at) {
			t.Errorf("%s before", text)
		}
	}
	for _, bad := range []string{"", "P", "90D", "P90", "PD", "P1D1Y", "P-1D", "PT", "P1DT", "P1.5D", "P1H", "PT1D", "P9999999D", "P1D "} {
		if d, err := parseDuration(bad); err == nil {
			t.Errorf("%q gave %v", bad, d)
		}
	}
}
