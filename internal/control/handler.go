package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/clock"
	"github.com/kustos-io/kustos/internal/faults"
)

// maxBody bounds a request body.
const maxBody = 64 << 10

// Faults is where rules are kept; satisfied by *faults.Injector.
type Faults interface {
	Add(r faults.Rule) (faults.Rule, error)
	Remove(id string) bool
	Clear() int
	Rules() []faults.Rule
}

// Config is what the handler drives.
type Config struct {
	Clock *clock.Clock
	// Keep makes the clock's offset durable before it moves.
	Keep func(r *http.Request, offset time.Duration) error
	// Advanced is called after the clock moved and before the answer: what
	// became due is done when the caller hears of it. nil = nothing.
	Advanced func(r *http.Request)
	Faults   Faults
	Token    string // the bearer token of every request
	Log      *slog.Logger
}

// New makes the control API's handler.
func New(c Config) http.Handler {
	a := &api{c, sha256.Sum256([]byte(c.Token))}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (int, any, error){
		"GET /clock":          a.getClock,
		"POST /clock/advance": a.advance,
		"GET /faults":         a.listFaults,
		"POST /faults":        a.addFault,
		"DELETE /faults":      a.clearFaults,
		"DELETE /faults/{id}": a.removeFault,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, handle) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, func(r *http.Request) (int, any, error) {
			return 0, nil, &refusal{http.StatusNotFound, "NotFound", "There is no " + r.Method + " " + r.URL.Path + " in the control API; there are GET /clock, POST /clock/advance, and GET, POST and DELETE /faults."}
		})
	})
	return mux
}

type api struct {
	Config
	digest [sha256.Size]byte // of the token
}

// refusal is an error answer.
type refusal struct {
	status        int
	code, message string
}

func (e *refusal) Error() string { return e.message }

func (a *api) serve(w http.ResponseWriter, r *http.Request, handle func(*http.Request) (int, any, error)) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	status, body, err := http.StatusUnauthorized, any(nil), error(nil)
	if !a.admitted(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		err = &refusal{status, "Unauthorized", "The control API needs the bearer token that stands in connection.json as controlToken."}
	} else {
		status, body, err = handle(r)
	}
	if err != nil {
		e := &refusal{http.StatusInternalServerError, "InternalError", "The control API could not do this; the log says why."}
		if !errors.As(err, &e) {
			a.Log.ErrorContext(r.Context(), "control", "operation", r.Method+" "+r.URL.Path, "error", err)
		}
		status, body = e.status, map[string]any{"error": map[string]string{"code": e.code, "message": e.message}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.Log.DebugContext(r.Context(), "control answer not written", "error", err)
	}
}

// admitted compares digests, so that neither content nor length of the token
// can be learned from the time it takes.
func (a *api) admitted(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	got := sha256.Sum256([]byte(token))
	return ok && a.Token != "" && subtle.ConstantTimeCompare(got[:], a.digest[:]) == 1
}

// decode reads one JSON value and nothing more; unknown members are refused.
func decode(r *http.Request, into any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON value")
		}
	}
	var typed *json.UnmarshalTypeError
	var large *http.MaxBytesError
	why := ""
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		why = "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		why = "it breaks off"
	case errors.As(err, &large):
		return &refusal{http.StatusRequestEntityTooLarge, "BodyTooLarge", fmt.Sprintf("The body is larger than %d bytes.", large.Limit)}
	case errors.As(err, &typed) && typed.Field == "":
		why = "it is no object"
	case errors.As(err, &typed):
		why = "the member " + typed.Field + " is a " + typed.Value
	default:
		why = strings.TrimPrefix(err.Error(), "json: ")
	}
	return &refusal{http.StatusBadRequest, "InvalidBody", "The body is not what is expected here: " + why + "."}
}
