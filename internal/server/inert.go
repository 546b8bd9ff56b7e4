package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/rp/inert"
	"github.com/kustos-io/kustos/internal/store"
)

// registerInert adds a provider that does nothing for each namespace that was
// named. A namespace that is built is refused, and so is a start on inert
// resources without their provider: they would be neither seen nor deleted.
func registerInert(ctx context.Context, front *arm.Front, s store.Store, namespaces []string, now func() time.Time, log *slog.Logger) error {
	served := func(ns string) bool {
		return slices.ContainsFunc(front.Providers(), func(p provider.Provider) bool { return strings.EqualFold(p.Namespace(), ns) })
	}
	for _, ns := range namespaces {
		if served(ns) {
			return fmt.Errorf("--inert-provider %s: the namespace is built or named twice; inert providers are for what is not", ns)
		}
		front.Register(inert.New(inert.Config{Store: s, Namespace: ns, Front: front, Now: now}))
		log.WarnContext(ctx, "a namespace is inert: its resources are records that do nothing", "namespace", ns)
	}
	held, err := inert.Namespaces(ctx, s)
	if err != nil {
		return fmt.Errorf("read inert resources: %w", err)
	}
	for _, ns := range held {
		if !served(ns) {
			return fmt.Errorf("the data folder holds inert resources of %s; start with --inert-provider %s, and delete them first if they are not wanted", ns, ns)
		}
	}
	return nil
}
