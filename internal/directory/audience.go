package directory

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// ErrUnknownResource means that the tenant has no resource of that name, so
// that no token is signed for it.
var ErrUnknownResource = errors.New("the resource is not known in the tenant")

// firstPartyAudiences are the services every tenant has, as identifier URIs
// without the final slash and as application ids.
func firstPartyAudiences() []string {
	return []string{
		"https://management.azure.com",
		"https://management.core.windows.net",
		"797f4846-ba00-4fd7-ba43-dac1f8f63013", // Azure Resource Manager
		"https://vault.azure.net",
		"cfa8b339-82a2-471a-a3c9-0fc0be7a4093", // Key Vault
		"https://kusto.kusto.windows.net",
		"2746ea77-4702-4b45-80ca-3c97e680e8b7", // Azure Data Explorer
		"https://graph.microsoft.com",
		"00000003-0000-0000-c000-000000000000", // Microsoft Graph
		strings.ToLower(exchangeAudience),
	}
}

// knownAudience reports whether a token may be signed for resource: a first
// party service, the URI of a Kusto cluster (existing or not: the cluster
// refuses by itself), or an application of the tenant, as {appId}, api://{appId} or an
// identifier URI of it.
func knownAudience(tx store.Tx, resource string) (bool, error) {
	name := strings.ToLower(strings.TrimSuffix(resource, "/"))
	for _, known := range firstPartyAudiences() {
		if name == known {
			return true, nil
		}
	}
	if host, ok := strings.CutPrefix(name, "https://"); ok {
		return isClusterHost(host) || isVaultPort(host), nil
	}
	appID, path, long := strings.Cut(strings.TrimPrefix(name, "api://"), "/")
	if !ids.IsGUID(appID) {
		return false, nil
	}
	a, err := applicationByAppID(tx, appID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err == nil && long {
		uri := "api://" + appID + "/" + path
		return slices.ContainsFunc(a.IdentifierURIs, func(u string) bool { return strings.EqualFold(strings.TrimSuffix(u, "/"), uri) }), nil
	}
	return err == nil, err
}

// isVaultPort accepts vault.azure.net:PORT: what a vault's challenge names when
// the vault was not asked on port 443.
func isVaultPort(host string) bool {
	port, ok := strings.CutPrefix(host, "vault.azure.net:")
	n, err := strconv.ParseUint(port, 10, 16)
	return ok && err == nil && n > 0 && port[0] != '0' && port[0] != '+'
}

// isClusterHost accepts {cluster}.kusto.windows.net and
// {cluster}.{region}.kusto.windows.net: no port, no path, DNS labels only.
func isClusterHost(host string) bool {
	labels, ok := strings.CutSuffix(host, ".kusto.windows.net")
	if !ok {
		return false
	}
	parts := strings.Split(labels, ".")
	for _, label := range parts {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(parts) <= 2
}

func checkAudience(tx store.Tx, resource string) error {
	known, err := knownAudience(tx, resource)
	if err == nil && !known {
		err = fmt.Errorf("%.200q: %w", resource, ErrUnknownResource)
	}
	return err
}
