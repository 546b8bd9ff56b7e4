package kusto

import (
	"context"
	"encoding/json"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/kusto/command"
)

// policyTarget resolves what a policy command is on. table is "" for a database.
func (h *Handler) policyTarget(ctx context.Context, c *call, current string, e command.Entity) (database, table string, kind catalog.PolicyKind, err error) {
	kind = catalog.PolicyKind(e.Policy)
	known := false
	for _, k := range policyKinds() {
		known = known || k == kind
	}
	if !known {
		return "", "", "", badRequest("the policy '%s' is not supported", e.Policy)
	}
	if e.Database {
		database, err = h.database(ctx, c, e.Name)
		return database, "", kind, err
	}
	t, err := h.table(ctx, c, current, e.Name)
	return current, t.Name, kind, err
}

func policyResult(database, table string, kind catalog.PolicyKind, body string) tableResult {
	name, entityType := "["+database+"]", "Database"
	if table != "" {
		name, entityType = "["+database+"].["+table+"]", "Table"
	}
	return tableResult{columns: cols(types.String, "PolicyName", "EntityName", "Policy", "ChildEntities", "EntityType"),
		rows: [][]any{{policyName(kind), name, body, "", entityType}}}
}

// policyName is the name that the service prints.
func policyName(kind catalog.PolicyKind) string {
	switch kind {
	case catalog.PolicyStreamingIngestion:
		return "StreamingIngestionPolicy"
	case catalog.PolicyRetention:
		return "RetentionPolicy"
	case catalog.PolicyCaching:
		return "CachingPolicy"
	}
	return "IngestionBatchingPolicy"
}

func (h *Handler) showPolicy(ctx context.Context, c *call, current string, e command.Entity) (tableResult, error) {
	database, table, kind, err := h.policyTarget(ctx, c, current, e)
	if err != nil {
		return tableResult{}, err
	}
	if err := c.access.require(needShow, database); err != nil {
		return tableResult{}, err
	}
	body, err := h.policyText(ctx, c, database, table, kind)
	return policyResult(database, table, kind, body), err
}

// alterPolicy sets a policy, or deletes it when body is nil. Only the
// streaming ingestion policy is acted on, so only that one can be set.
func (h *Handler) alterPolicy(ctx context.Context, c *call, current string, e command.Entity, body *string) (tableResult, error) {
	database, table, kind, err := h.policyTarget(ctx, c, current, e)
	if err != nil {
		return tableResult{}, err
	}
	if err := c.access.require(needAdmin, database); err != nil {
		return tableResult{}, err
	}
	if kind != catalog.PolicyStreamingIngestion {
		return tableResult{}, badRequest("the policy '%s' cannot be changed by a command here; streamingingestion can", e.Policy)
	}
	var stored json.RawMessage
	text := "null"
	if body != nil {
		var policy struct {
			IsEnabled         *bool
			HintAllocatedRate *float64
		}
		if err := json.Unmarshal([]byte(*body), &policy); err != nil || policy.IsEnabled == nil {
			return tableResult{}, badRequest("the streamingingestion policy must be a JSON object with the boolean IsEnabled")
		}
		stored = mustJSON(policy)
		text = string(stored)
	}
	if err := h.runtime.SetTablePolicy(ctx, c.cluster.ID, database, table, kind, stored); err != nil {
		return tableResult{}, err
	}
	return policyResult(database, table, kind, text), nil
}
