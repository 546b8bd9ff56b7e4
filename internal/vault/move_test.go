package vault

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/store"
)

// TestMovedVault: roles where the vault was end with the move, roles where it is
// count, whatever was kept in memory before.
func TestMovedVault(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", func(in *Input) { in.RBAC = ptr(true) })
	from, to := vaultID("kv1"), vaultID("kv1")
	to.ResourceGroup = "other"
	const read = " microsoft.keyvault/vaults/keys/read "
	f.roles[owner+read+"/subscriptions/"+testSub+"/resourcegroups/g"] = true
	f.roles[stranger+read+"/subscriptions/"+testSub+"/resourcegroups/other"] = true
	f.must("GET", "kv1", "/keys", nil)
	book := &notebook{}
	f.Audit = book
	var hinted []string
	f.Hint = func(name string) { hinted = append(hinted, name) }
	if err := f.store.Update(t.Context(), func(tx store.Tx) error { return f.Move(t.Context(), tx, from, to) }); err != nil {
		t.Fatal(err)
	}
	f.Moved(t.Context(), from, to, authz.Principal{ObjectID: owner})
	if diff := cmp.Diff([]string{"vaults/move allowed vaults/kv1 by " + owner + " | management plane"}, book.take()); diff != "" {
		t.Errorf("audit (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"kv1"}, hinted); diff != "" {
		t.Errorf("hints (-want +got)\n%s", diff)
	}
	f.do("GET", "kv1", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByRbac")
	f.as(stranger, "GET", "kv1", "/keys", nil).is(t, 200, "", "")
	if diff := cmp.Diff([]string{from.Key()}, f.unassigned); diff != "" {
		t.Errorf("role assignments removed (-want +got)\n%s", diff)
	}
	if _, err := f.Get(t.Context(), from); err == nil {
		t.Error("the vault is still where it was")
	}
}
