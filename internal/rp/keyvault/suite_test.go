package keyvault_test

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/provider/providertest"
	"github.com/kustos-io/kustos/internal/rp/keyvault"
	"github.com/kustos-io/kustos/internal/vault"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Suite{
		Type: "vaults", APIVersion: api,
		Body: json.RawMessage(`{"location":"westeurope","properties":{"tenantId":"` + providertest.TenantID + `","sku":{"family":"A","name":"standard"},"accessPolicies":[]}}`),
		New: func(_ *testing.T, h *providertest.House) provider.Provider {
			log := slog.New(slog.DiscardHandler)
			return keyvault.New(keyvault.Config{Log: log, Vault: vault.New(vault.Config{Store: h.Store, Authorizer: providertest.Authorizer(),
				Now: h.Now, Log: log, TenantID: providertest.TenantID})})
		},
	})
}
