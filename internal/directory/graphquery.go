package directory

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// Page sizes of Graph's directory objects.
const (
	defaultPage = 100
	maxPage     = 999
)

// graphQuery is the part of OData's query options that lists take.
type graphQuery struct {
	filter filter // nil for all
	fields []string
	top    int
	after  string // object id of the last entity of the page before
	count  bool
}

func parseGraphQuery(values url.Values, list bool) (graphQuery, error) {
	q := graphQuery{top: defaultPage}
	for name := range values {
		value := values.Get(name)
		option := strings.ToLower(strings.TrimPrefix(name, "$"))
		if !list && option != "select" {
			if strings.HasPrefix(name, "$") {
				return q, azerr.GraphUnsupportedQuery(quoted(name))
			}
			continue
		}
		var err error
		switch option {
		case "filter":
			if q.filter, err = parseFilter(value); err != nil {
				return q, azerr.GraphInvalidFilter(quoted(err.Error()))
			}
		case "select":
			q.fields = strings.Split(value, ",")
		case "top":
			if q.top, err = strconv.Atoi(value); err != nil || q.top < 1 || q.top > maxPage {
				return q, azerr.GraphBadRequest("Invalid page size specified: '" + quoted(value) + "'. Must be between 1 and 999 inclusive.")
			}
		case "count":
			q.count = strings.EqualFold(value, "true")
		case "skiptoken":
			q.after = value
		default:
			if strings.HasPrefix(name, "$") {
				return q, azerr.GraphUnsupportedQuery(quoted(name))
			}
		}
	}
	return q, nil
}

// graphList is the answer of a collection.
type graphList struct {
	Context  string `json:"@odata.context"`
	Count    *int   `json:"@odata.count,omitempty"`
	NextLink string `json:"@odata.nextLink,omitempty"`
	Value    []any  `json:"value"`
}

// entity is what a collection lists: filterable, in the order of object ids.
type entity interface {
	filterable
	objectID() string
}

// list filters, pages and shapes entities that are sorted by object id.
// resource is the type for errors ("application"), set its collection.
func list[E entity](values url.Values, set, resource string, all []E, shape func(E) any) (graphAnswer, error) {
	q, err := parseGraphQuery(values, true)
	if err != nil {
		return graphAnswer{}, err
	}
	out := graphList{Context: graphContext + set, Value: []any{}}
	if q.filter != nil {
		var none E
		var refusal error
		q.filter.properties(func(name string, wantsCollection bool) {
			if _, collection, known := none.property(name); refusal == nil && (!known || collection != wantsCollection) {
				refusal = azerr.GraphUnsupportedFilter(quoted(name), resource)
			}
		})
		if refusal != nil {
			return graphAnswer{}, refusal
		}
	}
	found := 0
	last := ""
	for _, e := range all {
		if q.filter != nil && !q.filter.matches(e) {
			continue
		}
		found++
		if e.objectID() <= q.after {
			continue
		}
		if len(out.Value) == q.top {
			next := url.Values{}
			for k, v := range values {
				next[k] = v
			}
			next.Set("$skiptoken", last)
			out.NextLink = "https://graph.microsoft.com/v1.0/" + set + "?" + next.Encode()
			if !q.count {
				break
			}
			q.after = "\uffff" // count on, list no more
			continue
		}
		value, err := selectFields(shape(e), q.fields, resource)
		if err != nil {
			return graphAnswer{}, err
		}
		out.Value = append(out.Value, value)
		last = e.objectID()
	}
	if q.count {
		out.Count = &found
	}
	return graphAnswer{200, out}, nil
}

// one shapes a single entity with its context and $select.
func one(values url.Values, set, resource string, value any) (graphAnswer, error) {
	q, err := parseGraphQuery(values, false)
	if err != nil {
		return graphAnswer{}, err
	}
	if value, err = selectFields(value, q.fields, resource); err != nil {
		return graphAnswer{}, err
	}
	return graphAnswer{200, withContext(set, value)}, nil
}

// withContext puts @odata.context in front of an entity.
func withContext(set string, value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil || len(data) < 2 || data[0] != '{' {
		panic("BUG: a graph entity does not marshal to an object")
	}
	head := `{"@odata.context":"` + graphContext + set + `/$entity"`
	if len(data) > 2 {
		head += ","
	}
	return json.RawMessage(head + string(data[1:]))
}

// selectFields keeps the named properties; no names means all.
func selectFields(value any, fields []string, resource string) (any, error) {
	if len(fields) == 0 {
		return value, nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	for _, f := range fields {
		if _, ok := all[strings.TrimSpace(f)]; !ok {
			return nil, azerr.GraphSelectUnknown(quoted(f), resource)
		}
	}
	for name := range all {
		if !slices.ContainsFunc(fields, func(f string) bool { return strings.TrimSpace(f) == name }) {
			delete(all, name)
		}
	}
	return all, nil
}
