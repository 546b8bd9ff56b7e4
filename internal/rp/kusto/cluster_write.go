package kusto

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// plan is a checked PUT or PATCH of a cluster that has not been written yet.
type plan struct {
	before *record // nil when the cluster is new
	after  *record
	create bool
	// rekey says that the operation must put after.KeyVault (nil: the platform's key) in force.
	rekey bool
	sent  body // the request's "properties"
	// location is the text the client sent, "" when it sent none.
	location string
}

func (pl *plan) changes() bool {
	b, a := pl.before, pl.after
	return pl.create || pl.rekey || !b.SKU.equal(a.SKU) || !sameIdentity(b.Identity, a.Identity) || !sameProperties(b.Properties, a.Properties) ||
		!sameJSON(mustJSON(b.Tags), mustJSON(a.Tags)) && len(b.Tags)+len(a.Tags) > 0 || !sameJSON(mustJSON(b.Zones), mustJSON(a.Zones)) ||
		!sameJSON(mustJSON(b.KeyVault), mustJSON(a.KeyVault))
}

// checkClusterNameRule refuses names that the service does not take.
func checkClusterNameRule(name string) error {
	if !regexp.MustCompile(`^[a-z][a-z0-9]{3,21}$`).MatchString(strings.ToLower(name)) {
		return azerr.KustoInvalidName(name, Namespace+"/clusters", "it must have 4 to 22 lower-case letters and digits and begin with a letter")
	}
	return nil
}

// planCluster checks a PUT or PATCH as far as it can be checked without
// writing. With preflight it leaves out everything that depends on resources
// which the same template may be about to make.
func (p *Provider) planCluster(ctx context.Context, req *provider.Request, preflight bool) (*plan, error) {
	name := req.ID.Name()
	before, err := p.load(ctx, clusterKey(req.ID))
	if err != nil {
		return nil, err
	}
	patch := req.Method == http.MethodPatch
	if before == nil {
		if patch {
			return nil, clusterNotFound(req.ID)
		}
		if err := checkClusterNameRule(name); err != nil {
			return nil, err
		}
	}
	if err := checkPreconditions(req, before); err != nil {
		return nil, err
	}
	if !preflight {
		if err := p.idle(before); err != nil {
			return nil, err
		}
	}
	return p.merge(ctx, req, before, patch, preflight)
}

// merge reads the body over the record and has the key checked.
func (p *Provider) merge(ctx context.Context, req *provider.Request, before *record, patch, preflight bool) (*plan, error) {
	b, err := requestBody(req)
	if err != nil {
		return nil, err
	}
	pl := &plan{before: before, create: before == nil || !before.Born}
	if before != nil {
		pl.after = before.clone()
	} else {
		pl.after = &record{ID: ids.NewGUID(), Subscription: req.ID.Subscription, ResourceGroup: req.ID.ResourceGroup, Name: req.ID.Name(), ETag: `""`}
	}
	after := pl.after
	if pl.location, err = p.mergeLocation(b, before, after, req); err != nil {
		return nil, err
	}
	tags, err := b.tags()
	if err != nil {
		return nil, err
	}
	if !patch || b.has("tags") {
		after.Tags = tags
	}
	if err := mergeZones(b, before, after, req.Shape, patch); err != nil {
		return nil, err
	}
	if !b.has("sku") && !patch {
		return nil, azerr.KustoInvalidMember("sku", "given")
	}
	if b.has("sku") {
		base := after.SKU
		if !patch {
			base = sku{}
		}
		if after.SKU, err = mergeSKU(b.get("sku"), base); err != nil {
			return nil, err
		}
	}
	if after.Identity, err = p.mergeIdentity(ctx, b.get("identity"), after.Identity, identityRequest{patch: patch, preflight: preflight, caller: req.Principal, cluster: after.resourceID()}); err != nil {
		return nil, err
	}
	pl.sent = body{}
	if b.has("properties") {
		if pl.sent, err = asObject("properties", b.get("properties")); err != nil {
			return nil, err
		}
	}
	if after.Properties, err = mergeProperties(pl.sent, after.Properties, before != nil, !patch); err != nil {
		return nil, err
	}
	return pl, p.planKey(ctx, req, pl, preflight)
}

func (p *Provider) mergeLocation(b body, before, after *record, req *provider.Request) (string, error) {
	text, err := b.text("location", "location", "")
	if err != nil {
		return "", err
	}
	loc := ids.ParseLocation(text)
	switch {
	case text == "" && before == nil:
		return "", azerr.LocationRequired()
	case text == "":
		return "", nil
	case before != nil && loc != before.Location:
		return "", azerr.InvalidResourceLocation(before.Name, string(before.Location), before.ResourceGroup, string(loc))
	case !loc.Known():
		var names []string
		for _, l := range ids.Locations() {
			names = append(names, string(l))
		}
		return "", azerr.LocationNotAvailableForResourceType(text, Namespace+"/clusters", names)
	}
	after.Location = loc
	return text, nil
}

func mergeZones(b body, before, after *record, shape string, patch bool) error {
	if !b.has("zones") || shape < v20190515 || patch && shape < v20230815 {
		return nil
	}
	zones, err := b.zones()
	if err != nil {
		return err
	}
	if before != nil && before.Born && !patch && !sameJSON(mustJSON(before.Zones), mustJSON(zones)) && len(before.Zones)+len(zones) > 0 {
		return azerr.KustoBadRequest("The value of 'zones' cannot be changed after the cluster was created.")
	}
	if len(zones) > 0 || patch {
		after.Zones = zones
	}
	return nil
}

// idle refuses a write while an operation runs on the cluster.
func (p *Provider) idle(rec *record) error {
	if rec == nil || rec.Operation == "" {
		return nil
	}
	return azerr.KustoRequestConflict(rec.resourceID())
}

func checkPreconditions(req *provider.Request, before *record) error {
	if req.Shape < v20210101 {
		return nil
	}
	id := req.ID.String()
	match, noneMatch := req.Header.Get("If-Match"), req.Header.Get("If-None-Match")
	matches := func(list string) bool {
		if before == nil {
			return false
		}
		for _, tag := range strings.Split(list, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || tag == before.ETag || `"`+tag+`"` == before.ETag {
				return true
			}
		}
		return false
	}
	if match != "" && !matches(match) || noneMatch != "" && req.Method == http.MethodPut && matches(noneMatch) {
		return azerr.KustoPreconditionFailed(id)
	}
	return nil
}

// writeCluster serves PUT and PATCH.
func (p *Provider) writeCluster(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	for attempt := 0; ; attempt++ {
		pl, err := p.planCluster(ctx, req, false)
		if err != nil {
			return nil, err
		}
		if !pl.changes() {
			return p.clusterAnswer(ctx, http.StatusOK, pl.before, req.Shape, pl.location)
		}
		operation, err := p.accept(ctx, req, pl)
		if errors.Is(err, errRaced) && attempt < 5 {
			continue // somebody else wrote between the checks and the transaction: check again
		}
		if err != nil {
			return nil, err
		}
		p.operations.Launch(operation)
		return p.accepted(ctx, req, pl, operation)
	}
}

// errRaced says that the record changed between the checks and the transaction.
var errRaced = errors.New("cluster changed meanwhile")

// accept writes the record, the new identity and the operation in one transaction.
func (p *Provider) accept(ctx context.Context, req *provider.Request, pl *plan) (operation string, err error) {
	err = p.store.Update(ctx, func(tx store.Tx) error {
		current, err := loadTx(tx, pl.after.armID().Key())
		if err != nil {
			return err
		}
		if (current == nil) != (pl.before == nil) || current != nil && current.Revision != pl.before.Revision {
			return errRaced
		}
		work := clusterWork{Key: pl.after.armID().Key(), Rekey: pl.rekey}
		if pl.after.Identity.wantsSystem() {
			made, err := p.identities.CreateIdentity(ctx, tx, pl.after.Name, pl.after.resourceID())
			if err != nil {
				return err
			}
			pl.after.Identity.System = &ServicePrincipal{ObjectID: made.ObjectID, ClientID: made.ClientID, TenantID: made.TenantID}
			work.Made = made.ObjectID
		}
		if pl.before != nil && pl.before.Identity.System != nil && pl.after.Identity.System == nil {
			work.Removed = pl.before.Identity.System.ObjectID
		}
		kind := kindClusterUpdate
		if pl.create {
			kind = kindClusterCreate
			if err := p.birth(ctx, tx, req, pl); err != nil {
				return err
			}
		}
		work.After = pl.after.clone()
		operation, err = p.operations.Start(tx, operations.Operation{Kind: kind, Provider: Namespace, ResourceID: pl.after.resourceID(),
			Location: string(pl.after.Location), Payload: mustJSON(work), Principal: req.Principal, APIVersion: req.APIVersion})
		if err != nil {
			return err
		}
		// Until the operation has succeeded the old values stay in force; only
		// a new cluster shows what was asked for from the beginning.
		held := pl.after
		if !pl.create {
			held = current
			held.Provisioning = provAccepted
		}
		held.Operation = operation
		pl.after.Operation, pl.after.Provisioning = operation, held.Provisioning
		return save(tx, held)
	})
	return operation, err
}

// birth records a new cluster: its name, its id and its key under the platform's KEK.
func (p *Provider) birth(ctx context.Context, tx store.Tx, req *provider.Request, pl *plan) error {
	rec := pl.after
	rec.Provisioning, rec.Activity = provCreating, "Creating"
	if pl.before != nil {
		return nil // a creation that failed before; name and key are there
	}
	rec.System = newAuthorship(req.Principal, p.now())
	name := strings.ToLower(rec.Name)
	if taken, err := tx.Get(bucketNames, name); err == nil && string(taken) != rec.armID().Key() {
		return azerr.KustoNameTaken(rec.Name)
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := tx.Put(bucketNames, name, []byte(rec.armID().Key())); err != nil {
		return err
	}
	if err := tx.Put(bucketIDs, rec.ID, []byte(rec.armID().Key())); err != nil {
		return err
	}
	return p.runtime.Create(ctx, tx, cluster.Spec{ID: rec.ID, Name: name, Location: string(rec.Location), URI: rec.uri(), DoubleEncryption: rec.doubleEncryption()})
}

// accepted is the first answer of a PUT or PATCH that has started work.
func (p *Provider) accepted(ctx context.Context, req *provider.Request, pl *plan, operation string) (*provider.Response, error) {
	rec := pl.after
	var res *provider.Response
	var err error
	switch {
	case pl.create:
		res = &provider.Response{Status: http.StatusCreated, Body: createdBody(rec, req.Shape, pl.location, pl.sent)}
	case req.Method == http.MethodPatch:
		res, err = p.clusterAnswer(ctx, http.StatusAccepted, rec, req.Shape, pl.location)
	default: // never 202: some clients take it for a failure
		res, err = p.clusterAnswer(ctx, http.StatusOK, rec, req.Shape, pl.location)
	}
	if err != nil {
		return nil, err
	}
	res.OperationID = operation
	res.Header = etagHeader(rec, p.asyncHeaders(req, rec.Subscription, rec.Location, operation, req.Method == http.MethodPatch))
	return res, nil
}

// clusterAnswer is the whole resource with its ETag.
func (p *Provider) clusterAnswer(ctx context.Context, status int, rec *record, shape, location string) (*provider.Response, error) {
	body, err := p.clusterBody(ctx, rec, shape, location)
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: status, Body: body, Header: etagHeader(rec, nil)}, nil
}
