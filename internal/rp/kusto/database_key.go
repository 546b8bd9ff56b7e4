package kusto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// A key of a single database goes through the checks of a cluster's, see
// cmk.go. The identity that reaches it is one of the cluster's; number 2 does
// not apply, since the cluster, and so its identity, is there.

// readDatabaseKey reads what a request says about the database's own key. A
// version that does not know such keys refuses one: to ignore it would leave the
// database without the protection asked for.
func (p *Provider) readDatabaseKey(props body, shape string) (keyRequest, error) {
	key, err := p.readKeyRequest(props, max(shape, v20230502))
	if shape < v20230502 {
		if err == nil && (!key.given || key.off) {
			return keyRequest{}, nil
		}
		return keyRequest{}, azerr.KustoFeatureNotSupported("properties.keyVaultProperties", "keys of single databases come with api-version "+v20230502)
	}
	return key, err
}

// under is the cluster as one of its databases with the key kv sees it.
func (r *record) under(kv *keyVaultProperties) *record {
	c := *r
	c.KeyVault = kv
	return &c
}

// planDatabaseKey checks what a request asks for, and reports whether the key
// in force changes.
func (p *Provider) planDatabaseKey(ctx context.Context, req *provider.Request, rec *record, before, after *databaseRecord, key keyRequest) (rekey bool, err error) {
	if after.KeyVault != nil && key.given {
		if err := p.checkIdentity(rec.under(after.KeyVault)); err != nil { // 3
			return false, err
		}
	}
	var present *keyVaultProperties
	st := struct {
		kek       envelope.KEK
		suspended bool
		code      string
	}{kek: envelope.PlatformKEK()}
	if before != nil && before.Born {
		present = before.KeyVault
		switch now, err := p.runtime.DatabaseState(ctx, rec.ID, before.Name); {
		case errors.Is(err, catalog.ErrNotFound): // it is being dropped
		case err != nil:
			return false, fmt.Errorf("state of database %s: %w", before.Name, err)
		case now.Own:
			st.kek, st.suspended, st.code = now.KEK, now.Suspended, now.Code
		}
	}
	want := rec.under(after.KeyVault).kek()
	refresh := req.Method == http.MethodPatch && key.given && !key.off && after.KeyVault.KeyVersion == ""
	if sameKey(present, after.KeyVault) && !refresh && (!key.given || st.kek.Identity == want.Identity) {
		return false, nil
	}
	if st.suspended && present != nil && !st.kek.OtherWayTo(want) {
		switch st.code { // as keyReachable
		case "KeyNotFound":
			return false, azerr.KeyNotFound(present.KeyName, present.KeyVaultURI)
		case "KeyVaultUnavailable":
			return false, azerr.KustoVaultUnreachable(present.KeyVaultURI)
		}
		return false, azerr.IdentityDoesNotHaveAccessToKeyVault(present.KeyVaultURI)
	}
	if after.KeyVault == nil {
		return true, nil
	}
	return true, p.checkKey(ctx, rec.under(after.KeyVault))
}

// checkNewDatabase refuses a new database under its cluster's key when that
// protects nothing new any more. What else is wrong with the key is not asked
// here: the data keys of a database need no vault.
func (p *Provider) checkNewDatabase(ctx context.Context, rec *record, after *databaseRecord) error {
	if after.KeyVault != nil || rec.KeyVault == nil {
		return nil
	}
	facts, err := p.keys.Key(ctx, rec.kek())
	if err != nil {
		return nil // trouble on the way says nothing about the key
	}
	return p.checkWindow(facts)
}

// inForce reports whether an earlier run of the operation put the new key in force.
func (p *Provider) inForce(ctx context.Context, rec *record, before, after *databaseRecord) (bool, error) {
	want := rec.under(after.KeyVault).kek()
	st, err := p.runtime.DatabaseState(ctx, rec.ID, after.Name)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("state of database %s: %w", after.Name, err)
	case !st.Own:
		return want.Kind == envelope.KindPlatform, nil
	}
	return st.KEK == want && (!before.Born || want != rec.under(before.KeyVault).kek()), nil
}

// checkDatabaseKey repeats the checks inside the operation: the world may have changed.
func (p *Provider) checkDatabaseKey(ctx context.Context, rec *record, before, after *databaseRecord) error {
	if done, err := p.inForce(ctx, rec, before, after); err != nil || done || after.KeyVault == nil {
		return err
	}
	under := rec.under(after.KeyVault)
	if err := p.checkIdentity(under); err != nil {
		return err
	}
	return p.checkKey(ctx, under)
}

// rekeyDatabase puts the key of after in force. It is repeatable.
func (p *Provider) rekeyDatabase(ctx context.Context, rec *record, before, after *databaseRecord) error {
	if done, err := p.inForce(ctx, rec, before, after); err != nil || done {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := p.runtime.ChangeDatabaseKEK(ctx, rec.ID, after.Name, rec.under(after.KeyVault).kek())
		if !errors.Is(err, envelope.ErrConflict) || attempt == 3 { // the keeper followed a newer version meanwhile
			return err
		}
	}
}

// checkDatabaseIdentities refuses a change of the cluster's identities that
// takes away, or makes anew, one by which a database reaches its own key.
func (p *Provider) checkDatabaseIdentities(ctx context.Context, before, after *record) error {
	if sameIdentity(before.Identity, after.Identity) {
		return nil
	}
	var all []databaseRecord
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		all, err = store.ListJSON[databaseRecord](tx, bucketDatabases, before.armID().Key()+"/databases/")
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.KeyVault == nil {
			continue
		}
		if err := p.checkIdentity(after.under(d.KeyVault)); err != nil {
			return azerr.From(err).Because(errors.New("database " + d.Name + " reaches its own key by an identity that the request takes away"))
		}
	}
	return nil
}

// suspensionDetails is the member of a database that its own key suspends, null otherwise.
func (p *Provider) suspensionDetails(ctx context.Context, rec *record, d *databaseRecord) any {
	if d.KeyVault == nil {
		return nil
	}
	st, err := p.runtime.DatabaseState(ctx, rec.ID, d.Name)
	if err != nil || !st.Suspended {
		return nil
	}
	return object{{"suspensionStartDate", st.Since.UTC().Format(time.RFC3339)}}
}
