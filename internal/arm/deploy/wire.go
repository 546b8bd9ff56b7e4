package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

type wireDeployment struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Location   string          `json:"location,omitempty"`
	Tags       json.RawMessage `json:"tags,omitempty"`
	Properties wireProperties  `json:"properties"`
}

type wireProperties struct {
	TemplateLink       json.RawMessage   `json:"templateLink,omitempty"`
	TemplateHash       string            `json:"templateHash"`
	ParametersLink     json.RawMessage   `json:"parametersLink,omitempty"`
	Parameters         json.RawMessage   `json:"parameters"`
	Mode               string            `json:"mode"`
	DebugSetting       *wireDebug        `json:"debugSetting,omitempty"`
	ProvisioningState  string            `json:"provisioningState"`
	Timestamp          string            `json:"timestamp"`
	Duration           string            `json:"duration"`
	CorrelationID      string            `json:"correlationId"`
	Providers          []shownProvider   `json:"providers"`
	Dependencies       []shownDependency `json:"dependencies"`
	Outputs            json.RawMessage   `json:"outputs,omitempty"`
	OutputResources    *[]wireID         `json:"outputResources,omitempty"`
	ValidatedResources *[]wireID         `json:"validatedResources,omitempty"`
	OnErrorDeployment  *onError          `json:"onErrorDeployment,omitempty"`
	Error              *azerr.Error      `json:"error,omitempty"`
}

type wireDebug struct {
	DetailLevel string `json:"detailLevel"`
}

type wireID struct {
	ID string `json:"id"`
}

// shownProvider is one namespace that a deployment uses.
type shownProvider struct {
	Namespace     string              `json:"namespace"`
	ResourceTypes []shownResourceType `json:"resourceTypes"`
}

type shownResourceType struct {
	ResourceType string   `json:"resourceType"`
	Locations    []string `json:"locations"`
}

// shownDependency is a resource and what it waits for.
type shownDependency struct {
	DependsOn []shownResource `json:"dependsOn"`
	shownResource
}

type shownResource struct {
	ID           string `json:"id"`
	ResourceType string `json:"resourceType"`
	ResourceName string `json:"resourceName"`
}

func (r *record) wire() *wireDeployment {
	d := &wireDeployment{
		ID: r.ID, Name: r.Name, Type: typeName, Location: r.Location, Tags: r.Tags,
		Properties: wireProperties{
			TemplateLink: r.TemplateLink, ParametersLink: r.ParametersLink, OnErrorDeployment: r.OnError,
			TemplateHash: r.Hash, Parameters: wireValues(r.Parameters), Mode: r.Mode, ProvisioningState: r.State, Timestamp: wire.Time(r.Changed),
			Duration: duration(r.Changed.Sub(r.Started)), CorrelationID: r.Correlation, Providers: r.Providers, Dependencies: r.Dependencies, Error: r.Error,
		},
	}
	if r.Debug != "" && !strings.EqualFold(r.Debug, "none") {
		d.Properties.DebugSetting = &wireDebug{r.Debug}
	}
	if !r.active() {
		if r.Outputs != nil {
			d.Properties.Outputs = wireValues(r.Outputs)
		}
		list := wireIDs(r.OutputResources)
		d.Properties.OutputResources = &list
	}
	return d
}

func wireIDs(list []string) []wireID {
	out := make([]wireID, len(list))
	for i, id := range list {
		out[i] = wireID{id}
	}
	return out
}

// wireValues prints {name: {type, value}} in order.
func wireValues(list []shownValue) json.RawMessage {
	o := value.NewObject(len(list))
	for _, v := range list {
		entry := value.Of(m("type", v.Type))
		if v.Value != nil {
			if parsed, err := value.FromJSON(v.Value); err == nil {
				entry.Set("value", parsed)
			}
		}
		o.Set(v.Name, entry)
	}
	return value.Raw(o)
}

// duration prints as .NET's XmlConvert does: PT1M2.5S.
func duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	var b strings.Builder
	b.WriteString("PT")
	if h := int(d.Hours()); h > 0 {
		fmt.Fprintf(&b, "%dH", h)
		d -= time.Duration(h) * time.Hour
	}
	if n := int(d.Minutes()); n > 0 {
		fmt.Fprintf(&b, "%dM", n)
		d -= time.Duration(n) * time.Minute
	}
	ticks := d.Nanoseconds() / 100
	s := fmt.Sprintf("%d.%07d", ticks/10_000_000, ticks%10_000_000)
	b.WriteString(strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "S")
	return b.String()
}

// shownParameters drops the values of secure parameters.
func shownParameters(p *template.Program) []shownValue {
	out := []shownValue{}
	for _, q := range p.Parameters {
		v := shownValue{Name: q.Name, Type: q.Type}
		if !q.Secure {
			v.Value = value.Raw(p.Shown(q))
		}
		out = append(out, v)
	}
	return out
}

func shownOutputs(list []template.Output) []shownValue {
	out := []shownValue{}
	for _, o := range list {
		v := shownValue{Name: o.Name, Type: o.Type}
		if !o.Secure {
			v.Value = value.Raw(o.Shown)
		}
		out = append(out, v)
	}
	return out
}

// shownProviders groups the types of a program by namespace, in order.
func shownProviders(p *template.Program) []shownProvider {
	out := []shownProvider{}
	at := map[string]int{}
	seen := map[string]bool{}
	for _, r := range p.Resources {
		ns, typ, _ := strings.Cut(r.Type, "/")
		i, ok := at[strings.ToLower(ns)]
		if !ok {
			i = len(out)
			at[strings.ToLower(ns)] = i
			out = append(out, shownProvider{Namespace: ns, ResourceTypes: []shownResourceType{}})
		}
		key := strings.ToLower(r.Type + "|" + r.Location)
		if seen[key] {
			continue
		}
		seen[key] = true
		types := &out[i].ResourceTypes
		j := slices.IndexFunc(*types, func(t shownResourceType) bool { return strings.EqualFold(t.ResourceType, typ) })
		if j < 0 {
			j = len(*types)
			*types = append(*types, shownResourceType{ResourceType: typ, Locations: []string{}})
		}
		if r.Location != "" { // the service lists a null for "nowhere", which typed clients cannot read
			(*types)[j].Locations = append((*types)[j].Locations, string(ids.ParseLocation(r.Location)))
		}
	}
	return out
}

func shownDependencies(p *template.Program) []shownDependency {
	out := []shownDependency{}
	show := func(r *template.Resource) shownResource { return shownResource{r.ID, r.Type, r.Name} }
	for _, r := range p.Resources {
		if len(r.Needs) == 0 || !r.Condition {
			continue
		}
		d := shownDependency{shownResource: show(r)}
		for _, i := range r.Needs {
			d.DependsOn = append(d.DependsOn, show(p.Resources[i]))
		}
		out = append(out, d)
	}
	return out
}
