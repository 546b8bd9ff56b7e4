package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// exported says how a type becomes a template resource.
type exported struct {
	// readOnly are the properties that a PUT does not set.
	readOnly []string
	// children are the types below it that are exported with it.
	children []string
}

// exportable are the types known, by lower-case full type. The others are named
// in the answer's error.
func exportable() map[string]exported {
	state := "provisioningState"
	return map[string]exported{
		"microsoft.managedidentity/userassignedidentities":                              {readOnly: []string{"tenantId", "principalId", "clientId"}, children: []string{"federatedIdentityCredentials"}},
		"microsoft.managedidentity/userassignedidentities/federatedidentitycredentials": {},
		"microsoft.keyvault/vaults":                                                     {readOnly: []string{state, "vaultUri", "hsmPoolResourceId", "privateEndpointConnections"}},
		"microsoft.kusto/clusters": {readOnly: []string{state, "state", "stateReason", "uri", "dataIngestionUri", "migrationCluster", "privateEndpointConnections"},
			children: []string{"databases", "principalAssignments"}},
		"microsoft.kusto/clusters/databases": {readOnly: []string{state, "statistics", "isFollowed", "leaderClusterResourceId", "attachedDatabaseConfigurationName", "principalsModificationKind",
			"originalDatabaseName", "databaseShareOrigin", "tableLevelSharingProperties", "suspensionDetails"}, children: []string{"principalAssignments"}},
		"microsoft.kusto/clusters/principalassignments":           {readOnly: []string{state, "tenantName", "principalName", "aadObjectId"}},
		"microsoft.kusto/clusters/databases/principalassignments": {readOnly: []string{state, "tenantName", "principalName", "aadObjectId"}},
	}
}

// exportOptions are the flags of the request.
type exportOptions struct{ defaults, literalNames bool }

type exportedTemplate struct {
	Schema         string                     `json:"$schema"`
	ContentVersion string                     `json:"contentVersion"`
	Parameters     map[string]exportParameter `json:"parameters"`
	Variables      struct{}                   `json:"variables"`
	Resources      []map[string]any           `json:"resources"`
}

type exportParameter struct {
	Default string `json:"defaultValue,omitempty"`
	Type    string `json:"type"`
}

// exporter builds one template.
type exporter struct {
	p       *Provider
	req     *provider.Request
	options exportOptions
	out     exportedTemplate
	refused []*azerr.Error
}

// exportTemplate writes the resources of a group as a template that makes them
// again. What cannot be exported is named in the error beside the template.
func (p *Provider) exportTemplate(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body struct {
		Resources    []string
		Options      string
		OutputFormat string
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return nil, azerr.InvalidRequestContent("An object with 'resources' is expected").Because(err)
	}
	if body.OutputFormat != "" && !strings.EqualFold(body.OutputFormat, "Json") {
		return nil, azerr.OperationNotSupported("exportTemplate with the output format "+body.OutputFormat, namespace+"/resourceGroups")
	}
	x := &exporter{p: p, req: req, out: exportedTemplate{Schema: "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", ContentVersion: "1.0.0.0",
		Parameters: map[string]exportParameter{}, Resources: []map[string]any{}}}
	for option := range strings.SplitSeq(body.Options, ",") {
		switch strings.ToLower(strings.TrimSpace(option)) {
		case "", "none", "includecomments": // JSON has none
		case "includeparameterdefaultvalue":
			x.options.defaults = true
		case "skipresourcenameparameterization", "skipallparameterization":
			x.options.literalNames = true
		default:
			return nil, azerr.InvalidRequestContent(fmt.Sprintf("The option '%s' is not known. Path 'options'", option))
		}
	}
	all, err := p.all(ctx, where(req), req.ID.Segments[1].Name)
	if err != nil {
		return nil, err
	}
	if len(body.Resources) == 0 {
		return nil, azerr.InvalidRequestContent("The member 'resources' must hold ids, or '*' alone")
	}
	if !slices.Equal(body.Resources, []string{"*"}) {
		chosen := []provider.Resource{}
		for _, text := range body.Resources {
			i := slices.IndexFunc(all, func(r provider.Resource) bool { return strings.EqualFold(r.IDText, text) })
			if i < 0 {
				return nil, azerr.InvalidRequestContent(fmt.Sprintf("'%s' is no resource of the group. Path 'resources'", text))
			}
			chosen = append(chosen, all[i])
		}
		all = chosen
	}
	for _, r := range all {
		if err := x.add(ctx, r.ID); err != nil {
			return nil, err
		}
	}
	answer := struct {
		Template exportedTemplate `json:"template"`
		Error    *azerr.Error     `json:"error,omitempty"`
	}{Template: x.out}
	if len(x.refused) > 0 {
		answer.Error = azerr.ExportTemplateCompletedWithErrors(x.refused)
	}
	return provider.OK(answer)
}

// read asks the front door as the caller; a refusal goes to the answer's error.
func (x *exporter) read(ctx context.Context, id ids.ID, into any) (got bool, err error) {
	resp, err := x.p.Dispatcher.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: id, APIVersion: x.version(id), Principal: x.req.Principal, BaseURL: x.req.BaseURL, CorrelationID: x.req.CorrelationID})
	if e := azerr.From(err); e != nil && e.Status < 500 {
		x.refuse(id, azerr.ExportTemplateProviderError(id.Type(), e.Message))
		return false, nil
	}
	if err != nil {
		return false, err
	}
	data, err := resp.JSON()
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	return err == nil, err
}

func (x *exporter) version(id ids.ID) string {
	return provider.NewestVersion(x.p.Registry.Providers(), id)
}

func (x *exporter) refuse(id ids.ID, e *azerr.Error) {
	e.Target = id.String()
	x.refused = append(x.refused, e)
}

// add exports one resource and what is below it.
func (x *exporter) add(ctx context.Context, id ids.ID) error {
	how, known := exportable()[strings.ToLower(id.Type())]
	if !known {
		x.refuse(id, azerr.ExportTemplateProviderError(id.Type(), "the type cannot be exported"))
		return nil
	}
	var live map[string]any
	if got, err := x.read(ctx, id, &live); err != nil || !got {
		return err
	}
	// The answer writes the names as they were made.
	if text, _ := live["id"].(string); text != "" {
		if made, err := ids.Parse(text); err == nil && made.Key() == id.Key() {
			id = made
		}
	}
	r := map[string]any{"type": id.Type(), "apiVersion": x.version(id), "name": x.name(id)}
	for _, member := range []string{"location", "tags", "sku", "kind", "zones"} {
		if v, ok := live[member]; ok && v != nil {
			r[member] = literal(v)
		}
	}
	if identity := exportIdentity(live["identity"]); identity != nil {
		r["identity"] = identity
	}
	if properties, ok := live["properties"].(map[string]any); ok {
		for _, name := range how.readOnly {
			delete(properties, name)
		}
		for name, v := range properties {
			if v == nil {
				delete(properties, name)
			}
		}
		if len(properties) > 0 {
			r["properties"] = literal(properties)
		}
	}
	if parent, ok := id.ParentResource(); ok {
		r["dependsOn"] = []string{x.resourceID(parent)}
	}
	x.out.Resources = append(x.out.Resources, r)
	for _, child := range how.children {
		var list struct {
			Value []struct {
				ID string `json:"id"`
			} `json:"value"`
		}
		if got, err := x.read(ctx, id.Child(child, ""), &list); err != nil || !got {
			return err
		}
		for _, item := range list.Value {
			childID, err := ids.Parse(item.ID)
			if err == nil {
				err = x.add(ctx, childID)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// exportIdentity keeps what a PUT sets.
func exportIdentity(live any) any {
	identity, _ := live.(map[string]any)
	kind, _ := identity["type"].(string)
	if kind == "" || strings.EqualFold(kind, "None") {
		return nil
	}
	out := map[string]any{"type": kind}
	if users, ok := identity["userAssignedIdentities"].(map[string]any); ok && len(users) > 0 {
		kept := map[string]any{}
		for id := range users {
			kept[id] = map[string]any{}
		}
		out["userAssignedIdentities"] = kept
	}
	return out
}

// parameter is the name of the parameter that holds a top-level resource's name.
func (x *exporter) parameter(id ids.ID) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, id.Segments[0].Type+"_"+id.Segments[0].Name)
	name := clean + "_name"
	p := exportParameter{Type: "String"}
	if x.options.defaults {
		p.Default = id.Segments[0].Name
	}
	x.out.Parameters[name] = p
	return name
}

// name is a resource's name in the template: literal, or from its parameter.
func (x *exporter) name(id ids.ID) string {
	names := id.Names()
	if x.options.literalNames {
		return text(strings.Join(names, "/"))
	}
	if len(names) == 1 {
		return "[parameters('" + x.parameter(id) + "')]"
	}
	return "[concat(parameters('" + x.parameter(id) + "'), '/" + quote(strings.Join(names[1:], "/")) + "')]"
}

func (x *exporter) resourceID(id ids.ID) string {
	call := "[resourceId('" + id.Type() + "'"
	for i, name := range id.Names() {
		if i == 0 && !x.options.literalNames {
			call += ", parameters('" + x.parameter(id) + "')"
			continue
		}
		call += ", '" + quote(name) + "'"
	}
	return call + ")]"
}

func quote(s string) string { return strings.ReplaceAll(s, "'", "''") }

// text escapes what would be read as an expression.
func text(s string) string {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		return "[" + s
	}
	return s
}

// literal escapes every text in a value.
func literal(v any) any {
	switch v := v.(type) {
	case string:
		return text(v)
	case []any:
		for i := range v {
			v[i] = literal(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = literal(v[k])
		}
	}
	return v
}
