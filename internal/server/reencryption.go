package server

import (
	"context"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/cluster"
)

// reencryption records what becomes of re-encryptions.
func (p *parts) reencryption(spec cluster.Spec, e cluster.ReencryptionEvent) {
	event := audit.Event{Operation: "reencryption/" + e.What, Result: audit.Allowed, Scope: p.clusterScope(spec), Actor: e.By, Detail: e.Detail}
	if e.What == "failed" {
		event.Result = audit.Failed
	}
	if err := p.audit.Record(context.Background(), event); err != nil {
		p.log.Error("an event of a re-encryption is not in the audit log", "cluster", spec.Name, "reencryption", e.ID, "error", err)
	}
}
