package kusto

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Answers that depend on no resource of the client's: sizes, names, operations.

func (p *Provider) listSKUs(_ context.Context, req *provider.Request) (*provider.Response, error) {
	return listOf(skuDescriptions(ids.Locations(), req.Shape)), nil
}

func (p *Provider) listLocationSKUs(_ context.Context, req *provider.Request) (*provider.Response, error) {
	loc, err := requestLocation(req)
	if err != nil {
		return nil, err
	}
	return listOf(skuDescriptions([]ids.Location{loc}, req.Shape)), nil
}

func requestLocation(req *provider.Request) (ids.Location, error) {
	loc := ids.ParseLocation(req.ID.Segments[0].Name)
	if !loc.Known() {
		var names []string
		for _, l := range ids.Locations() {
			names = append(names, string(l))
		}
		return "", azerr.LocationNotAvailableForResourceType(req.ID.Segments[0].Name, Namespace+"/clusters", names)
	}
	return loc, nil
}

func skuDescriptions(locations []ids.Location, shape string) []object {
	var names []string
	var info []object
	for _, l := range locations {
		names = append(names, l.Display())
		o := object{{"location", l.Display()}, {"zones", []string{}}}
		if shape >= v20221111 {
			o.add("zoneDetails", []string{})
		}
		info = append(info, o)
	}
	var out []object
	for _, name := range skuNames() {
		if shape < v20190515 { // the first version knows sizes only
			out = append(out, object{{"name", name}, {"tier", sku{Name: name}.tier()}})
			continue
		}
		out = append(out, object{{"resourceType", "clusters"}, {"name", name}, {"tier", sku{Name: name}.tier()},
			{"locations", names}, {"locationInfo", info}, {"restrictions", []string{}}})
	}
	return out
}

// listClusterSKUs lists what a cluster can be resized to.
func (p *Provider) listClusterSKUs(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if _, err := p.mustLoad(ctx, req.ID); err != nil {
		return nil, err
	}
	var out []object
	for _, name := range skuNames() {
		s := sku{Name: name}
		minimum, maximum := s.bounds()
		scale := "automatic"
		if s.dev() {
			scale = "none"
		}
		out = append(out, object{{"resourceType", Namespace + "/clusters"}, {"sku", object{{"name", name}, {"tier", s.tier()}}},
			{"capacity", object{{"minimum", minimum}, {"maximum", maximum}, {"default", minimum}, {"scaleType", scale}}}})
	}
	return listOf(out), nil
}

// checkRequest reads the body of a name check.
func checkRequest(req *provider.Request, types ...string) (name, typ string, err error) {
	b, err := requestBody(req)
	if err != nil {
		return "", "", err
	}
	if name, err = b.text("name", "name", ""); err != nil {
		return "", "", err
	}
	if typ, err = b.text("type", "type", ""); err != nil {
		return "", "", err
	}
	if name == "" {
		return "", "", azerr.KustoInvalidMember("name", "given")
	}
	for _, t := range types {
		if strings.EqualFold(t, typ) {
			return name, t, nil
		}
	}
	return "", "", azerr.KustoInvalidMember("type", "one of "+strings.Join(types, ", "))
}

// nameAnswer is the result of a name check; an empty message means available.
func nameAnswer(name, message, reason string) *provider.Response {
	o := object{{"nameAvailable", message == ""}, {"name", name}}
	if message == "" {
		o.add("message", nil)
	} else {
		o.add("message", message)
		o.add("reason", reason)
	}
	return &provider.Response{Status: http.StatusOK, Body: o}
}

func (p *Provider) checkClusterName(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if _, err := requestLocation(req); err != nil {
		return nil, err
	}
	name, _, err := checkRequest(req, Namespace+"/clusters")
	if err != nil {
		return nil, err
	}
	if err := checkClusterNameRule(name); err != nil {
		return nameAnswer(name, azerr.From(err).Message, "Invalid"), nil
	}
	taken := false
	err = p.store.View(ctx, func(tx store.Tx) error {
		taken, err = present(tx, bucketNames, strings.ToLower(name))
		return err
	})
	if err != nil {
		return nil, err
	}
	if taken {
		return nameAnswer(name, azerr.KustoNameTakenMessage(name), "AlreadyExists"), nil
	}
	return nameAnswer(name, "", ""), nil
}

func (p *Provider) listOperations(_ context.Context, _ *provider.Request) (*provider.Response, error) {
	var out []object
	for _, e := range [][4]string{
		{"clusters/read", "Clusters", "Read", "Reads a cluster resource."},
		{"clusters/write", "Clusters", "Write", "Writes a cluster resource."},
		{"clusters/delete", "Clusters", "Delete", "Deletes a cluster resource."},
		{"clusters/start/action", "Clusters", "Start", "Starts the cluster."},
		{"clusters/stop/action", "Clusters", "Stop", "Stops the cluster."},
		{"clusters/checkNameAvailability/action", "Clusters", "Check name", "Checks whether a name in the cluster is free."},
		{"clusters/kustosReencrypt/action", "Clusters", "Re-encrypt", "Rewrites the cluster's data under new data keys."},
		{"clusters/kustosReencrypt/read", "Clusters", "Read re-encryption", "Reads how far a re-encryption is."},
		{"clusters/kustosReencrypt/pause/action", "Clusters", "Pause re-encryption", "Pauses a re-encryption."},
		{"clusters/kustosReencrypt/resume/action", "Clusters", "Resume re-encryption", "Resumes a re-encryption that is paused or has failed."},
		{"clusters/kustosReencrypt/cancel/action", "Clusters", "Cancel re-encryption", "Cancels a re-encryption."},
		{"clusters/skus/read", "Clusters", "Read sizes", "Lists the sizes a cluster can have."},
		{"clusters/databases/read", "Databases", "Read", "Reads a database resource."},
		{"clusters/databases/write", "Databases", "Write", "Writes a database resource."},
		{"clusters/databases/delete", "Databases", "Delete", "Deletes a database resource."},
		{"clusters/databases/addPrincipals/action", "Databases", "Add principals", "Adds database principals."},
		{"clusters/databases/listPrincipals/action", "Databases", "List principals", "Lists database principals."},
		{"clusters/databases/removePrincipals/action", "Databases", "Remove principals", "Removes database principals."},
		{"clusters/principalAssignments/read", "Cluster principals", "Read", "Reads a cluster principal assignment."},
		{"clusters/principalAssignments/write", "Cluster principals", "Write", "Writes a cluster principal assignment."},
		{"clusters/principalAssignments/delete", "Cluster principals", "Delete", "Deletes a cluster principal assignment."},
		{"clusters/databases/principalAssignments/read", "Database principals", "Read", "Reads a database principal assignment."},
		{"clusters/databases/principalAssignments/write", "Database principals", "Write", "Writes a database principal assignment."},
		{"clusters/databases/principalAssignments/delete", "Database principals", "Delete", "Deletes a database principal assignment."},
		{"locations/checkNameAvailability/action", "Locations", "Check name", "Checks whether a cluster name is free."},
		{"locations/operationresults/read", "Operation results", "Read", "Reads the result of an operation."},
		{"operations/read", "Operations", "Read", "Lists the operations of the provider."},
		{"skus/read", "SKUs", "Read", "Lists the sizes of clusters."},
	} {
		out = append(out, object{{"name", Namespace + "/" + e[0]}, {"display", object{{"provider", "Kusto"}, {"operation", e[2]}, {"resource", e[1]}, {"description", e[3]}}}})
	}
	return listOf(out), nil
}
