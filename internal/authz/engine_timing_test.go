package authz_test

import (
	"path/filepath"
	"testing"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// BenchmarkAuthorizeData is what a key operation on a vault that goes by roles
// pays, with 20 assignments of the caller and 1,000 of others, in SQLite
// without the seal.
func BenchmarkAuthorizeData(b *testing.B) {
	st, err := sqlstore.Open(b.Context(), filepath.Join(b.TempDir(), "state.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	e := authz.New(authz.Config{Store: st})
	create := func(principal, scope string) {
		_, _, err := e.Create(b.Context(), authz.Assignment{Name: ids.NewGUID(), Scope: scope, RoleID: authz.RoleCryptoServiceEncryptionUser, PrincipalID: principal})
		if err != nil {
			b.Fatal(err)
		}
	}
	for range 1000 {
		create(ids.NewGUID(), vault)
	}
	for range 19 {
		create(alice().ObjectID, vault+"/keys/"+ids.NewGUID())
	}
	create(alice().ObjectID, vault)
	for b.Loop() {
		if d, err := e.AuthorizeData(b.Context(), alice(), "Microsoft.KeyVault/vaults/keys/unwrap/action", key); err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}
