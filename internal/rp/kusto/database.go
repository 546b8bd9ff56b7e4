package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

func (p *Provider) getDatabase(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.running(ctx, req)
	if err != nil {
		return nil, err
	}
	_, d, err := p.database(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, notFound(req.ID, "clusters/databases", 2)
	}
	return &provider.Response{Status: http.StatusOK, Body: p.databaseBody(ctx, rec, d, req.Shape)}, nil
}

// listDatabases lists by name, from 2023-05-02 on in pages when $top asks for them.
func (p *Provider) listDatabases(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.running(ctx, req)
	if err != nil {
		return nil, err
	}
	prefix := rec.armID().Key() + "/databases/"
	top, after := 0, ""
	if req.Shape >= v20230502 {
		if text := req.Query.Get("$top"); text != "" {
			if top, err = strconv.Atoi(text); err != nil || top < 1 {
				return nil, azerr.InvalidQueryParameter("$top", text, "it must be a positive number")
			}
		}
		if token := req.Query.Get("$skiptoken"); token != "" {
			after = prefix + token
		}
	}
	var found []databaseRecord
	next := ""
	err = p.store.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan(bucketDatabases, prefix, after) {
			if err != nil {
				return err
			}
			if top > 0 && len(found) == top {
				next = after
				return nil
			}
			var d databaseRecord
			if err := json.Unmarshal(e.Value, &d); err != nil {
				return fmt.Errorf("decode database: %w", err)
			}
			found, after = append(found, d), e.Key
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	value := make([]object, len(found))
	for i := range found { // outside of the transaction: the sizes come from the runtime
		value[i] = p.databaseBody(ctx, rec, &found[i], req.Shape)
	}
	res := listOf(value)
	if next != "" {
		q := url.Values{"api-version": {req.APIVersion}, "$top": {strconv.Itoa(top)}, "$skiptoken": {strings.TrimPrefix(next, prefix)}}
		list := res.Body.(object)
		list.add("nextLink", req.BaseURL+rec.resourceID()+"/databases?"+q.Encode())
		res.Body = list
	}
	return res, nil
}

// mergeDatabase reads the body of a PUT or PATCH over the present values, and
// what it says about the database's own key.
func (p *Provider) mergeDatabase(req *provider.Request, rec *record, present *databaseRecord) (after *databaseRecord, key keyRequest, err error) {
	b, err := requestBody(req)
	if err != nil {
		return nil, key, err
	}
	after = &databaseRecord{ID: ids.NewGUID(), Name: req.ID.Name()}
	if present != nil {
		c := *present
		if c.KeyVault != nil {
			kv := *c.KeyVault
			c.KeyVault = &kv
		}
		after = &c
	}
	kind, err := b.text("kind", "kind", "ReadWrite")
	if err != nil {
		return nil, key, err
	}
	switch {
	case strings.EqualFold(kind, "ReadOnlyFollowing"):
		return nil, key, azerr.KustoFeatureNotSupported("kind", "databases that follow another cluster are not built")
	case !strings.EqualFold(kind, "ReadWrite"):
		return nil, key, azerr.KustoInvalidMember("kind", "one of ReadWrite, ReadOnlyFollowing")
	}
	location, err := b.text("location", "location", "")
	if err != nil {
		return nil, key, err
	}
	if location != "" && rec != nil && ids.ParseLocation(location) != rec.Location {
		return nil, key, azerr.KustoInvalidMember("location", "the cluster's, "+rec.Location.Display())
	}
	props := body{}
	if b.has("properties") {
		if props, err = asObject("properties", b.get("properties")); err != nil {
			return nil, key, err
		}
	}
	if key, err = p.readDatabaseKey(props, req.Shape); err != nil {
		return nil, key, err
	}
	key.keepWhatVersionsLack(req.Shape, after.KeyVault)
	switch {
	case key.off:
		after.KeyVault = nil
	case key.given:
		after.KeyVault = &key.properties
	}
	if after.SoftDelete, err = mergeDuration(props, "properties.softDeletePeriod", "softDeletePeriod", after.SoftDelete); err != nil {
		return nil, key, err
	}
	after.HotCache, err = mergeDuration(props, "properties.hotCachePeriod", "hotCachePeriod", after.HotCache)
	return after, key, err
}

// writeDatabase serves PUT and PATCH.
func (p *Provider) writeDatabase(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.running(ctx, req)
	if err != nil {
		return nil, err
	}
	patch := req.Method == http.MethodPatch
	_, before, err := p.database(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if before == nil {
		if patch {
			return nil, notFound(req.ID, "clusters/databases", 2)
		}
		if err := checkDatabaseName(req.ID.Name()); err != nil {
			return nil, err
		}
	}
	after, key, err := p.mergeDatabase(req, rec, before)
	if err != nil {
		return nil, err
	}
	rekey, err := p.planDatabaseKey(ctx, req, rec, before, after, key)
	if err != nil {
		return nil, err
	}
	role, err := callerRole(req)
	if err != nil {
		return nil, err
	}
	created := before == nil || !before.Born
	if created {
		if err := p.checkNewDatabase(ctx, rec, after); err != nil {
			return nil, err
		}
	}
	if before != nil && before.Operation == "" && !created && !rekey && before.SoftDelete == after.SoftDelete && before.HotCache == after.HotCache {
		return &provider.Response{Status: http.StatusOK, Body: p.databaseBody(ctx, rec, before, req.Shape)}, nil
	}
	operation, err := p.acceptDatabase(ctx, req, rec, before, after, databaseWork{Cluster: rec.armID().Key(), Key: databaseKey(req.ID), CallerRole: role, Rekey: rekey}, kindDatabaseWrite)
	if err != nil {
		return nil, err
	}
	res := &provider.Response{Status: http.StatusOK, OperationID: operation, Header: p.asyncHeaders(req, rec.Subscription, rec.Location, operation, patch)}
	switch {
	case created:
		res.Status = http.StatusCreated
	case patch:
		res.Status = http.StatusAccepted
	}
	if res.Status != http.StatusAccepted || req.Shape >= v20190907 { // before, what is accepted has no body
		res.Body = p.databaseBody(ctx, rec, after, req.Shape)
	}
	return res, nil
}

// callerRole reads whether the caller becomes admin of the database he writes.
func callerRole(req *provider.Request) (string, error) {
	role := req.Query.Get("callerRole")
	switch {
	case req.Shape < v20220707 || role == "" || strings.EqualFold(role, "Admin"):
		return "Admin", nil
	case strings.EqualFold(role, "None"):
		return "", nil
	}
	return "", azerr.InvalidQueryParameter("callerRole", role, "it must be Admin or None")
}

// acceptDatabase writes the record and the operation in one transaction.
func (p *Provider) acceptDatabase(ctx context.Context, req *provider.Request, rec *record, before, after *databaseRecord, work databaseWork, kind string) (operation string, err error) {
	err = p.store.Update(ctx, func(tx store.Tx) error {
		current, err := loadDatabase(tx, work.Key)
		if err != nil {
			return err
		}
		if current != nil && current.Operation != "" || (current == nil) != (before == nil) || current != nil && current.Revision != before.Revision {
			return azerr.KustoRequestConflict(rec.databaseID(after.Name).String())
		}
		if now, err := loadTx(tx, work.Cluster); err != nil || now == nil || now.Activity != "" {
			if err == nil {
				err = azerr.KustoRequestConflict(rec.resourceID())
			}
			return err
		}
		work.After = after
		held := after
		switch {
		case kind == kindDatabaseDelete:
			held = current
			held.Provisioning = provDeleting
		case before == nil || !before.Born:
			if before == nil {
				after.System = newAuthorship(req.Principal, p.now())
			}
			after.Provisioning = provCreating
		default:
			held = current
			held.Provisioning, after.Provisioning = provAccepted, provAccepted
		}
		operation, err = p.operations.Start(tx, operations.Operation{Kind: kind, Provider: Namespace, ResourceID: rec.databaseID(after.Name).String(),
			Location: string(rec.Location), Payload: mustJSON(work), Principal: req.Principal, APIVersion: req.APIVersion})
		if err != nil {
			return err
		}
		held.Operation = operation
		return saveDatabase(tx, work.Key, held)
	})
	if err == nil {
		p.operations.Launch(operation)
	}
	return operation, err
}

func (p *Provider) deleteDatabase(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.running(ctx, req)
	if err != nil {
		return nil, err
	}
	_, d, err := p.database(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return &provider.Response{Status: http.StatusNoContent}, nil
	}
	operation, err := p.acceptDatabase(ctx, req, rec, d, d, databaseWork{Cluster: rec.armID().Key(), Key: databaseKey(req.ID)}, kindDatabaseDelete)
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: http.StatusAccepted, OperationID: operation, Header: p.asyncHeaders(req, rec.Subscription, rec.Location, operation, true)}, nil
}

// checkNameInCluster serves the name check for databases.
func (p *Provider) checkNameInCluster(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if _, err := p.running(ctx, req); err != nil {
		return nil, err
	}
	const databases, followers = Namespace + "/clusters/databases", Namespace + "/clusters/attachedDatabaseConfigurations"
	name, typ, err := checkRequest(req, databases, followers)
	if err != nil {
		return nil, err
	}
	if typ == followers {
		return nil, azerr.KustoFeatureNotSupported(followers, "databases that follow another cluster are not built")
	}
	if err := checkDatabaseName(name); err != nil {
		return nameAnswer(name, azerr.From(err).Message, "Invalid"), nil
	}
	taken := false
	err = p.store.View(ctx, func(tx store.Tx) error {
		taken, err = present(tx, bucketDatabases, clusterKey(req.ID)+"/databases/"+strings.ToLower(name))
		return err
	})
	if err != nil {
		return nil, err
	}
	if taken {
		return nameAnswer(name, "Name '"+name+"' with type Database is already taken. Please specify a different name", "AlreadyExists"), nil
	}
	return nameAnswer(name, "", ""), nil
}

// databaseGrants are the data-plane grants of one database.
func (p *Provider) databaseGrants(ctx context.Context, rec *record, name string) ([]catalog.Grant, error) {
	all, err := p.runtime.Grants(ctx, rec.ID)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(g catalog.Grant) bool {
		return g.Scope != catalog.ScopeDatabase || !strings.EqualFold(g.Database, name)
	})
	slices.SortFunc(all, func(a, b catalog.Grant) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}
