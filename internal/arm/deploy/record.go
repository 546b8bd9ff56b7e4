package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	armscope "github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// The buckets. All keys begin with the deployment's key.
const (
	recordBucket   = "arm.deployments"          // record: what GET shows
	templateBucket = "arm.deployment.templates" // the template as submitted
	runBucket      = "arm.deployment.runs"      // run: only while it runs
	stepBucket     = "arm.deployment.steps"     // step: one per operation of the newest run
)

// The states of a deployment.
const (
	stateAccepted  = "Accepted"
	stateRunning   = "Running"
	stateSucceeded = "Succeeded"
	stateFailed    = "Failed"
	stateCanceled  = "Canceled"
)

// record is one deployment of a scope's history.
type record struct {
	ID, Name, Location string
	Scope              string
	Tags               json.RawMessage `json:",omitempty"`
	Mode               string
	Hash               string
	ContentVersion     string
	Correlation        string
	State              string
	// Started is when it was accepted; Changed when the state last changed.
	Started, Changed time.Time
	// Operation is the id of the long-running operation.
	Operation       string
	Debug           string `json:",omitempty"`
	Parameters      []shownValue
	Outputs         []shownValue `json:",omitempty"`
	OutputResources []string     `json:",omitempty"`
	Providers       []shownProvider
	Dependencies    []shownDependency
	Validated       []string `json:",omitempty"`
	Error           *azerr.Error
	// TemplateLink and ParametersLink are shown when the deployment came by them.
	TemplateLink   json.RawMessage `json:",omitempty"`
	ParametersLink json.RawMessage `json:",omitempty"`
	OnError        *onError        `json:",omitempty"`
	Principal      authz.Principal
	BaseURL        string
	APIVersion     string
}

// shownValue is a parameter or an output; a secure one has no value.
type shownValue struct {
	Name, Type string
	Value      json.RawMessage `json:",omitempty"`
}

func (r *record) active() bool { return r.State == stateAccepted || r.State == stateRunning }

func (r *record) key() string {
	scope, err := ids.Parse(r.Scope)
	if err != nil {
		panic("BUG: stored scope does not parse: " + err.Error())
	}
	return key(scope, r.Name)
}

// run is what a deployment needs to go on after a restart. It holds secrets.
type run struct {
	Body  []byte          // the request as received
	Files linked          // what its links led to
	Fixed json.RawMessage // the values of the parameters
}

// step is one operation of a deployment: a resource, the outputs, the clean-up.
type step struct {
	Key       string // r12, outputs, cleanup, d3
	Operation string // provisioningOperation
	State     string
	// Status is the HTTP status of the provider's answer, 0 before.
	Status           int
	Started, Changed time.Time
	Tracking         string
	RequestID        string
	Target           string
	Error            *azerr.Error
	// ErrorStatus is Error's HTTP status, which its JSON does not carry.
	ErrorStatus int `json:",omitempty"`
	// Request and Response are kept when the deployment's debug setting asks for them.
	Request  json.RawMessage `json:",omitempty"`
	Response json.RawMessage `json:",omitempty"`
	// Waits is the provider's long-running operation, while it runs.
	Waits string `json:",omitempty"`
	// Wrote is set once the provider has taken the write.
	Wrote bool
	// Nested are the resources that a nested deployment made.
	Nested []string `json:",omitempty"`
	// Answer is a nested deployment as it ended: another deployment of the same
	// name may have taken its place by the time it is referred to.
	Answer json.RawMessage `json:",omitempty"`
}

func (s *step) done() bool { return s.State == stateSucceeded }

func findRecord(tx store.Tx, k string) (*record, error) {
	r, err := store.GetJSON[record](tx, recordBucket, k)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// records lists a scope's history, newest first.
func records(tx store.Tx, scope ids.ID) ([]record, error) {
	list, err := store.ListJSON[record](tx, recordBucket, scope.Key()+"|")
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b record) int { return b.Started.Compare(a.Started) })
	return list, nil
}

func steps(tx store.Tx, k string) (map[string]*step, error) {
	out := map[string]*step{}
	list, err := store.ListJSON[step](tx, stepBucket, k+"|")
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Error != nil && list[i].ErrorStatus != 0 {
			list[i].Error.Status = list[i].ErrorStatus
		}
		out[list[i].Key] = &list[i]
	}
	return out, nil
}

func putStep(tx store.Tx, k string, s *step) error {
	if s.Error != nil {
		s.ErrorStatus = s.Error.Status
	}
	return store.PutJSON(tx, stepBucket, k+"|"+s.Key, s)
}

// clear removes everything below a deployment but its record.
func clear(tx store.Tx, k string) error {
	for _, bucket := range []string{stepBucket} {
		var keys []string
		for e, err := range tx.Scan(bucket, k+"|", "") {
			if err != nil {
				return err
			}
			keys = append(keys, e.Key)
		}
		for _, name := range keys {
			if err := tx.Delete(bucket, name); err != nil {
				return err
			}
		}
	}
	for _, bucket := range []string{runBucket, templateBucket} {
		if err := tx.Delete(bucket, k); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

func forget(tx store.Tx, k string) error {
	if err := clear(tx, k); err != nil {
		return err
	}
	return tx.Delete(recordBucket, k)
}

// The history of a scope: over the first number it is pruned to the second.
const (
	historyPrune = 775
	historyKeep  = 750
	historyLimit = 800 // where a lock prevents pruning
)

// prune forgets the oldest deployments that have ended. A lock that forbids
// deletions in the scope keeps them: at the limit new ones are then refused.
func prune(tx store.Tx, scope ids.ID) error {
	count := 0
	for _, err := range tx.Scan(recordBucket, scope.Key()+"|", "") {
		if err != nil {
			return err
		}
		count++
	}
	if count <= historyPrune {
		return nil
	}
	locked, err := armscope.LocksAbove(tx, scope)
	if err != nil {
		return err
	}
	if len(locked) > 0 {
		if count > historyLimit {
			return azerr.DeploymentQuotaExceeded(scope.String(), historyLimit)
		}
		return nil
	}
	list, err := records(tx, scope)
	if err != nil {
		return err
	}
	for i := len(list) - 1; i >= historyKeep; i-- {
		if list[i].active() {
			continue
		}
		if err := forget(tx, list[i].key()); err != nil {
			return fmt.Errorf("prune deployments of %s: %w", scope, err)
		}
	}
	return nil
}
