package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/kustos-io/kustos/internal/client"
)

// revocation takes the key away by every cause, one after another, and gives
// it back where a customer can.
func revocation(ctx context.Context, s *scene) error {
	if err := s.furnish(ctx); err != nil {
		return err
	}
	key := "/keys/" + keyName
	for _, c := range []struct {
		cause, cure  string
		deny, relent func() error
	}{
		{"key version disabled", "key version enabled",
			func() error { return s.enable(ctx, s.version, false) }, func() error { return s.enable(ctx, s.version, true) }},
		{"key deleted", "key recovered",
			func() error { _, err := s.key(ctx, http.MethodDelete, key, nil); return err },
			func() error {
				_, err := s.key(ctx, http.MethodPost, "/deleted"+key[1:]+"/recover", nil)
				return err
			}},
		{"access policy removed", "access policy added again",
			func() error { return s.putPolicies(ctx, "remove") }, func() error { return s.putPolicies(ctx, "add") }},
		{"firewall closed", "firewall opened",
			func() error { return s.firewall(ctx, "Deny") }, func() error { return s.firewall(ctx, "Allow") }},
		{"vault deleted", "vault recovered",
			func() error { return s.az.ARM(ctx, http.MethodDelete, s.vaultPath(), apiVault, nil, nil) },
			func() error { return s.putVault(ctx, map[string]any{"createMode": "recover"}) }},
	} {
		if err := s.deny(ctx, c.cause, c.deny); err != nil {
			return err
		}
		if err := s.restore(ctx, c.cure, c.relent); err != nil {
			return err
		}
	}
	return nil
}

// putPolicies adds or removes the policy of the cluster's identity.
func (s *scene) putPolicies(ctx context.Context, kind string) error {
	return s.az.ARM(ctx, http.MethodPut, s.vaultPath()+"/accessPolicies/"+kind, apiVault,
		map[string]any{"properties": map[string]any{"accessPolicies": []any{s.policy(s.identity, "get", "wrapKey", "unwrapKey")}}}, nil)
}

// firewall closes or opens the vault for everybody, the platform's services included.
func (s *scene) firewall(ctx context.Context, action string) error {
	return s.az.ARM(ctx, http.MethodPatch, s.vaultPath(), apiVault,
		map[string]any{"properties": map[string]any{"networkAcls": map[string]any{"defaultAction": action, "bypass": "None"}}}, nil)
}

// identity deletes the user-assigned identity through which a cluster reaches
// its key. A new identity of the same name is somebody else.
func identity(ctx context.Context, s *scene) error {
	if err := s.az.ARM(ctx, http.MethodPut, s.groupPath(), apiGroups, map[string]string{"location": location}, nil); err != nil {
		return err
	}
	path := s.groupPath() + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/drillidentity"
	create := func() (string, error) {
		var made struct{ Properties struct{ PrincipalID string } }
		err := s.az.ARM(ctx, http.MethodPut, path, apiIdentity, map[string]any{"location": location}, &made)
		return made.Properties.PrincipalID, err
	}
	principal, err := create()
	if err != nil {
		return err
	}
	if err := s.makeCluster(ctx, map[string]any{"type": "UserAssigned", "userAssignedIdentities": map[string]any{path: map[string]any{}}}); err != nil {
		return err
	}
	s.identity = principal
	if err := s.putVault(ctx, nil); err != nil {
		return err
	}
	if err := s.createKey(ctx); err != nil {
		return err
	}
	patch := func() error {
		return s.az.ARM(ctx, http.MethodPatch, s.clusterPath(), apiKusto, map[string]any{
			"identity": map[string]any{"type": "UserAssigned", "userAssignedIdentities": map[string]any{path: map[string]any{}}},
			"properties": map[string]any{"keyVaultProperties": map[string]string{
				"keyVaultUri": "https://" + vault + ".vault.azure.net", "keyName": keyName, "keyVersion": s.version, "userIdentity": path}}}, nil)
	}
	if err := patch(); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	err = s.deny(ctx, "identity removed", func() error { return s.az.ARM(ctx, http.MethodDelete, path, apiIdentity, nil, nil) })
	if err != nil {
		return err
	}
	_, _, err = s.act("identity of the same name created, allowed in the vault", func() error {
		if s.identity, err = create(); err != nil {
			return err
		}
		return s.putPolicies(ctx, "add")
	})
	if err != nil {
		return err
	}
	err = patch()
	var refused *client.RefusedError
	switch {
	case errors.As(err, &refused):
		// A new principal is not the one that was trusted with the key. The key
		// itself is intact, so nothing is lost that its owner cannot give back.
		s.seen("the cluster does not take the new identity while it is suspended", fmt.Sprintf("HTTP %d %s: %s", refused.Status, refused.Code, refused.Message))
		return nil
	case err != nil:
		return err
	}
	return s.restore(ctx, "cluster told to use the new identity", func() error { return nil })
}
