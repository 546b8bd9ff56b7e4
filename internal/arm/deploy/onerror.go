package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// onError is the deployment that is run again when one fails.
type onError struct {
	Type           string `json:"type"`
	DeploymentName string `json:"deploymentName,omitempty"`
	// ProvisioningState is that of the deployment that was run again.
	ProvisioningState string `json:"provisioningState,omitempty"`
}

const (
	lastSuccessful     = "LastSuccessful"
	specificDeployment = "SpecificDeployment"
)

func readOnError(n *relaxed.Node) (*onError, error) {
	kind, _ := n.Get("type").Text()
	name, _ := n.Get("deploymentName").Text()
	switch {
	case strings.EqualFold(kind, lastSuccessful) && name == "":
		return &onError{Type: lastSuccessful}, nil
	case strings.EqualFold(kind, specificDeployment) && name != "":
		return &onError{Type: specificDeployment, DeploymentName: name}, nil
	}
	return nil, unread(n, "properties.onErrorDeployment", "The on-error deployment must be of type 'LastSuccessful', or 'SpecificDeployment' with a 'deploymentName'")
}

// resolveOnError finds the deployment that would be run again, and refuses one
// that could not be: its secure parameters were not kept.
func (e *Engine) resolveOnError(ctx context.Context, req *provider.Request, s *submission) error {
	if s.onError == nil {
		return nil
	}
	scope := req.ID.Scope()
	if scope.ResourceGroup == "" {
		return azerr.InvalidRequestContent("On-error deployments are supported at resource group scope only. Path 'properties.onErrorDeployment'")
	}
	var found *record
	err := e.store.View(ctx, func(tx store.Tx) error {
		if s.onError.Type == specificDeployment {
			r, err := findRecord(tx, key(scope, s.onError.DeploymentName))
			found = r
			return err
		}
		list, err := records(tx, scope)
		for i := range list {
			if list[i].State == stateSucceeded && found == nil {
				found = &list[i]
			}
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && found == nil:
		return azerr.DeploymentNotFound(s.onError.DeploymentName)
	case err != nil:
		return fmt.Errorf("find on-error deployment: %w", err)
	case found.State != stateSucceeded:
		return azerr.InvalidRequestContent(fmt.Sprintf("The on-error deployment '%s' is in the provisioning state '%s'; it must have succeeded. Path 'properties.onErrorDeployment'", found.Name, found.State))
	}
	for _, v := range found.Parameters {
		if v.Value == nil {
			return azerr.InvalidRequestContent(fmt.Sprintf("The deployment '%s' cannot be run again: the value of its secure parameter '%s' was not kept. Path 'properties.onErrorDeployment'", found.Name, v.Name))
		}
	}
	if strings.EqualFold(found.Name, req.ID.Segments[0].Name) {
		return azerr.InvalidRequestContent(fmt.Sprintf("The on-error deployment '%s' would be replaced by this one; the new deployment needs another name. Path 'properties.onErrorDeployment'", found.Name))
	}
	s.onError.DeploymentName = found.Name
	return nil
}

// failed ends a deployment as failed, after the one that was to be run again
// in its place has been.
func (x *execution) failed(ctx context.Context, why *azerr.Error) error {
	if x.r.OnError == nil {
		return x.finish(ctx, stateFailed, why)
	}
	state, err := x.again(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		state = stateFailed
		why.Details = append(why.Details, azerr.From(err))
	}
	x.r.OnError.ProvisioningState = state
	return x.finish(ctx, stateFailed, why)
}

// again puts the earlier deployment once more, in mode Complete, and waits for it.
func (x *execution) again(ctx context.Context) (state string, err error) {
	scope, err := ids.Parse(x.r.Scope)
	if err != nil {
		return "", err
	}
	k := key(scope, x.r.OnError.DeploymentName)
	var old *record
	var text []byte
	err = x.e.store.View(ctx, func(tx store.Tx) (err error) {
		if old, err = findRecord(tx, k); err != nil {
			return err
		}
		text, err = tx.Get(templateBucket, k)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", azerr.DeploymentNotFound(x.r.OnError.DeploymentName)
	}
	if err != nil {
		return "", fmt.Errorf("read on-error deployment: %w", err)
	}
	params := map[string]map[string]json.RawMessage{}
	for _, v := range old.Parameters {
		params[v.Name] = map[string]json.RawMessage{"value": v.Value}
	}
	body, err := json.Marshal(map[string]any{"properties": map[string]any{"mode": "Complete", "template": json.RawMessage(text), "parameters": params}})
	if err != nil {
		return "", err
	}
	id := scope
	id.Namespace, id.Segments = namespace, []ids.Segment{{Type: "deployments", Name: old.Name}}
	waits := ""
	resp, err := x.put(ctx, x.request(http.MethodPut, id, x.r.APIVersion, body))
	var wire *azerr.Error
	switch {
	case err == nil:
		waits = resp.OperationID
	case errors.As(err, &wire) && wire.Code == "DeploymentActive" && old.Correlation == x.r.Correlation: // put before a restart
		waits = old.Operation
	default:
		return "", err
	}
	op, err := x.e.ops.Wait(ctx, waits)
	if err != nil {
		return "", err
	}
	return op.Status, nil
}
