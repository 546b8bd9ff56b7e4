package kusto

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/kql/types"
)

// maxBody bounds a query or command request; .ingest inline carries its data in it.
const maxBody = 64 << 20

// request is the body of a query or command.
type request struct {
	Database   string
	Text       string
	Options    options
	Parameters map[string]string
}

// options are the request options this server acts on; every other one is ignored.
type options struct {
	ServerTimeout    time.Duration // 0: the default of the endpoint
	NoRequestTimeout bool
	ReadOnly         bool
	Now              time.Time // query_now
	Newlines         bool      // results_v2_newlines_between_frames
	Fragmented       bool      // results_v2_fragment_primary_tables
	ErrorPlacement   string    // in_data, end_of_table, end_of_dataset
	DeferErrors      bool      // deferpartialqueryfailures

	noTruncation        bool
	maxRecords, maxSize *int64 // truncationmaxrecords and truncationmaxsize (bytes), nil when not given
	take                *int64 // query_take_max_records
	refused             string // an option that changes the answer and is not built
}

const (
	defaultMaxRecords = 500_000
	defaultMaxSize    = 64 << 20
)

// readRequest reads a POST body or GET parameters.
func readRequest(r *http.Request) (request, error) {
	req, err := parseHTTP(r)
	if strings.EqualFold(r.Header.Get("x-ms-readonly"), "true") || r.Header.Get("x-ms-readonly") == "1" || r.Method == http.MethodGet {
		req.Options.ReadOnly = true // a link that is followed must change nothing
	}
	return req, err
}

func parseHTTP(r *http.Request) (request, error) {
	if r.Method == http.MethodGet {
		q := r.URL.Query()
		return parseRequest(q.Get("db"), q.Get("csl"), json.RawMessage(q.Get("properties")))
	}
	data, err := readBody(r, maxBody)
	if err != nil {
		return request{}, err
	}
	var in struct {
		DB         *string         `json:"db"`
		CSL        *string         `json:"csl"`
		Properties json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return request{}, badRequest("the request body is not valid JSON")
	}
	var db, text string
	if in.DB != nil {
		db = *in.DB
	}
	if in.CSL != nil {
		text = *in.CSL
	}
	return parseRequest(db, text, in.Properties)
}

// parseRequest reads properties, which is a JSON object or a string holding one.
func parseRequest(db, text string, props json.RawMessage) (request, error) {
	out := request{Database: db, Text: text, Options: options{ErrorPlacement: "in_data"}}
	if strings.TrimSpace(text) == "" {
		return request{}, badRequest("the request has no query text ('csl')")
	}
	if len(props) == 0 || string(props) == "null" {
		return out, nil
	}
	if props[0] == '"' {
		var inner string
		if err := json.Unmarshal(props, &inner); err != nil {
			return request{}, badRequest("the request's properties are not valid JSON")
		}
		if props = json.RawMessage(inner); strings.TrimSpace(inner) == "" {
			return out, nil
		}
	}
	var p struct {
		Options    map[string]json.RawMessage `json:"Options"`
		Parameters map[string]json.RawMessage `json:"Parameters"`
	}
	if err := json.Unmarshal(props, &p); err != nil {
		return request{}, badRequest("the request's properties are not valid JSON")
	}
	out.Options.read(p.Options)
	out.Parameters = map[string]string{}
	for name, raw := range p.Parameters {
		if string(raw) != "null" { // not supplied: the declared default holds
			out.Parameters[name] = optionText(raw)
		}
	}
	return out, out.Options.refusal()
}

// optionText is a JSON string's content, or any other value's JSON text.
func optionText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// read takes the known options; what cannot be read is ignored, as the service
// does. A limit that is given twice takes the lower value.
func (o *options) read(in map[string]json.RawMessage) {
	for name, raw := range in {
		text := optionText(raw)
		on := strings.EqualFold(text, "true") || text == "1"
		n, numberErr := strconv.ParseInt(text, 10, 64)
		number := numberErr == nil && n >= 0
		switch strings.ToLower(name) {
		case "servertimeout":
			if d, ok := parseDuration(text); ok {
				o.ServerTimeout = d
			}
		case "norequesttimeout":
			o.NoRequestTimeout = on
		case "notruncation":
			o.noTruncation = on
		case "truncationmaxrecords":
			if number {
				o.maxRecords = lower(o.maxRecords, n)
			}
		case "truncationmaxsize":
			if number {
				o.maxSize = lower(o.maxSize, n)
			}
		case "query_take_max_records":
			if number {
				o.take = lower(o.take, n)
			}
		case "request_readonly", "request_readonly_hardline":
			o.ReadOnly = o.ReadOnly || on
		case "query_now":
			if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
				o.Now = t
			}
		case "results_v2_newlines_between_frames":
			o.Newlines = on
		case "results_v2_fragment_primary_tables":
			o.Fragmented = on
		case "results_error_reporting_placement":
			if p := strings.ToLower(text); p == "end_of_table" || p == "end_of_dataset" {
				o.ErrorPlacement = p
			}
		case "deferpartialqueryfailures":
			o.DeferErrors = on
		case "query_language":
			if text != "" && !strings.EqualFold(text, "kql") && !strings.EqualFold(text, "csl") {
				o.refused = "query_language"
			}
		case "query_results_apply_getschema":
			if on {
				o.refused = "query_results_apply_getschema"
			}
		case "query_datetimescope_column":
			if text != "" {
				o.refused = "query_datetimescope_column"
			}
		}
	}
}

func lower(have *int64, n int64) *int64 {
	if have != nil {
		n = min(n, *have)
	}
	return &n
}

// refusal names an option that would change the answer and is not built; any
// other unknown option is ignored.
func (o options) refusal() error {
	if o.refused != "" {
		return badRequest("the request option '%s' is not supported with the value given", o.refused)
	}
	return nil
}

// limits are the most records and bytes of one result, 0 for no limit, and the
// size of a final take, -1 for none.
func (o options) limits() (records, size, take int64) {
	records, size, take = defaultMaxRecords, defaultMaxSize, -1
	if o.noTruncation && o.maxRecords == nil && o.maxSize == nil && o.take == nil {
		records, size = 0, 0
	}
	if o.maxRecords != nil {
		records = *o.maxRecords
	}
	if o.maxSize != nil {
		size = *o.maxSize
	}
	if o.take != nil {
		take = *o.take
	}
	return records, size, take
}

// set takes the options that `set` statements of the text give; options that a
// text may not set are ignored.
func (o *options) set(text map[string]string) error {
	given := map[string]json.RawMessage{}
	for name, value := range text {
		switch strings.ToLower(name) {
		case "servertimeout", "norequesttimeout", "request_readonly", "request_readonly_hardline", "results_progressive_enabled",
			"results_v2_fragment_primary_tables", "results_v2_newlines_between_frames", "query_language":
			continue
		}
		given[name] = mustJSON(value)
	}
	o.read(given)
	return o.refusal()
}

// timeout bounds a request: the option, at most an hour, else the default.
func (o options) timeout(fallback time.Duration) time.Duration {
	const most = time.Hour
	switch {
	case o.NoRequestTimeout:
		return most
	case o.ServerTimeout > 0:
		return min(o.ServerTimeout, most)
	}
	return fallback
}

// parseDuration reads "hh:mm:ss[.f]", "d.hh:mm:ss", Python's "1 day, 0:00:00",
// and short forms such as "50m".
func parseDuration(s string) (time.Duration, bool) {
	var days int
	if head, tail, ok := strings.Cut(s, ", "); ok {
		if _, err := fmt.Sscanf(head, "%d day", &days); err != nil {
			return 0, false
		}
		s = tail
	}
	if strings.Count(s, ":") != 2 {
		ticks, ok := types.ParseTimeSpan(s)
		return time.Duration(min(ticks, math.MaxInt64/100) * 100), ok && ticks > 0 && strings.ContainsAny(s, "dhmst")
	}
	if strings.HasPrefix(s, "-") {
		return 0, false
	}
	parts := strings.Split(s, ":")
	if d, h, ok := strings.Cut(parts[0], "."); ok {
		n, err := strconv.Atoi(d)
		if err != nil {
			return 0, false
		}
		days, parts[0] = n, h
	}
	h, err1 := strconv.Atoi(parts[0])
	m, err2 := strconv.Atoi(parts[1])
	sec, err3 := strconv.ParseFloat(parts[2], 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, false
	}
	if days < 0 || days > 10_000 || h < 0 || h > 10_000 || m < 0 || m > 59 || !(sec >= 0 && sec < 60) {
		return 0, false
	}
	d := time.Duration(days)*24*time.Hour + time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec*float64(time.Second))
	return d, d > 0
}
