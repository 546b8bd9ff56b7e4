package kusto

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// shown is the state of a cluster as an answer tells it.
type shown struct {
	state        string
	reason       string
	provisioning string
}

// shown derives what to tell from the record and from what the runtime really does.
func (p *Provider) shown(ctx context.Context, r *record) (shown, error) {
	s := shown{provisioning: r.Provisioning}
	if r.Activity != "" {
		s.state = r.Activity
		return s, nil
	}
	if !r.Born {
		s.state = "Unavailable"
		if r.LastError != nil {
			s.reason = r.LastError.Message
		}
		return s, nil
	}
	st, err := p.runtime.State(ctx, r.ID)
	if err != nil {
		return s, fmt.Errorf("state of cluster %s: %w", r.Name, err)
	}
	s.reason, s.state = sentence(st.Reason), string(st.Phase)
	if st.Phase == cluster.Suspended {
		s.state = string(cluster.Stopped) // the published states have no word for a key that is away
		if st.Code != "" && !strings.Contains(s.reason, st.Code) {
			s.reason += " (" + st.Code + ")"
		}
	}
	return s, nil
}

// sentence is the first line of a reason: what comes after it is for the log.
func sentence(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > 500 {
		line = line[:500]
	}
	return strings.ToValidUTF8(strings.TrimSpace(line), "")
}

// provisioningAt spells a provisioning state for an api-version.
func provisioningAt(state, shape string) string {
	if shape >= v20250214 && (state == provAccepted || state == provCreating) {
		return provRunning
	}
	return state
}

// clusterBody is the whole resource in the shape of one api-version. location
// is the text to show; the display name when empty.
func (p *Provider) clusterBody(ctx context.Context, r *record, shape, location string) (object, error) {
	s, err := p.shown(ctx, r)
	if err != nil {
		return nil, err
	}
	o := outer(r, shape, location, true)
	props := stateMembers(s, r, shape)
	for _, t := range clusterProperties() {
		if shape < t.since {
			continue
		}
		if t.name == "virtualNetworkConfiguration" {
			props.add(t.name, r.value(t))
			if shape >= v20190907 {
				props.add("keyVaultProperties", r.KeyVault.wire(shape))
			}
			continue
		}
		props.add(t.name, r.value(t))
	}
	o.add("properties", props)
	return o, nil
}

// createdBody is the first answer of a creation: what the client sent, and the state.
func createdBody(r *record, shape, location string, sent body) object {
	o := outer(r, shape, location, false)
	props := object{{"state", r.Activity}, {"provisioningState", provisioningAt(r.Provisioning, shape)}}
	for _, t := range clusterProperties() {
		if raw, ok := sent[strings.ToLower(t.name)]; ok && shape >= t.since && t.access != readOnly {
			props.add(t.name, raw)
		}
	}
	if sent.has("keyVaultProperties") && shape >= v20190907 {
		props.add("keyVaultProperties", sent.get("keyVaultProperties"))
	}
	o.add("properties", props)
	return o
}

func outer(r *record, shape, location string, identityIDs bool) object {
	if location == "" {
		location = r.Location.Display()
	}
	tags := r.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	o := object{{"id", r.resourceID()}, {"name", r.Name}, {"type", Namespace + "/Clusters"}, {"location", location}, {"tags", tags}, {"sku", r.SKU}}
	if len(r.Zones) > 0 && shape >= v20190515 {
		o.add("zones", r.Zones)
	}
	if shape >= v20190907 && r.Identity.typ() != "None" {
		o.add("identity", r.Identity.wire(identityIDs))
	}
	if shape >= v20210101 {
		o.add("etag", r.ETag)
	}
	if shape >= v20210827 {
		o.add("systemData", r.System.wire())
	}
	return o
}

func (a authorship) wire() object {
	return object{{"createdBy", a.CreatedBy}, {"createdByType", a.CreatedType}, {"createdAt", wire.Time(a.CreatedAt)},
		{"lastModifiedBy", a.ChangedBy}, {"lastModifiedByType", a.ChangedType}, {"lastModifiedAt", wire.Time(a.ChangedAt)}}
}

func stateMembers(s shown, r *record, shape string) object {
	o := object{{"state", s.state}, {"provisioningState", provisioningAt(s.provisioning, shape)}}
	if r.Born {
		o.add("uri", r.uri())
		o.add("dataIngestionUri", r.ingestURI())
	}
	if shape >= v20191109 {
		switch {
		case s.reason != "":
			o.add("stateReason", s.reason)
		case shape >= v20240413:
			o.add("stateReason", "")
		default:
			o.add("stateReason", nil)
		}
	}
	return o
}

// value is what an answer shows for a member of the table.
func (r *record) value(t property) json.RawMessage {
	if t.name == "zoneStatus" {
		if len(r.Zones) > 0 {
			return json.RawMessage(`"Zonal"`)
		}
		return json.RawMessage(`"NonZonal"`)
	}
	if raw, ok := r.Properties[t.name]; ok {
		return raw
	}
	return json.RawMessage(t.unset)
}

// listed is the cluster in a generic list.
func (r *record) listed() provider.Resource {
	out := provider.Resource{
		ID: r.armID(), IDText: r.resourceID(), Name: r.Name, Type: Namespace + "/Clusters", Location: string(r.Location), Tags: r.Tags,
		APIVersion: versions()[0], ProvisioningState: r.Provisioning, CreatedTime: wire.Time(r.System.CreatedAt), ChangedTime: wire.Time(r.System.ChangedAt),
	}
	out.SKU = mustJSON(r.SKU)
	if r.Identity.typ() != "None" {
		out.Identity = mustJSON(r.Identity.wire(true))
	}
	return out
}

func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return data
}

// asyncHeaders sets the headers of an answer that has started an operation.
func (p *Provider) asyncHeaders(req *provider.Request, subscription string, loc ids.Location, operation string, withLocation bool) http.Header {
	h := http.Header{}
	u := operationURL(req, subscription, loc, operation)
	location := ""
	if withLocation {
		location = u + locationSuffix
	}
	operations.Headers(h, u, location, p.retryAfter)
	return h
}

// operationURL is absolute on the host the client used: some clients refuse a
// relative one.
func operationURL(req *provider.Request, subscription string, loc ids.Location, operation string) string {
	return req.BaseURL + "/subscriptions/" + url.PathEscape(subscription) + "/providers/" + Namespace + "/locations/" + url.PathEscape(loc.Display()) +
		"/operationResults/" + url.PathEscape(operation) + "?api-version=" + url.QueryEscape(req.APIVersion)
}

// locationSuffix makes the poll URL whose last answer is the result itself.
const locationSuffix = "&operationResultResponseType=Location"

func etagHeader(r *record, h http.Header) http.Header {
	if h == nil {
		h = http.Header{}
	}
	h.Set("ETag", r.ETag)
	return h
}
