package directory

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// TestAzureIdentityUsers signs people in with the Azure SDK's own credentials:
// by device code, with the pages filled in by the prompt, and silently again.
func TestAzureIdentityUsers(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *Config) { cfg.Now = time.Now }) // the library looks at the real clock
	u := f.person(t, "ann")
	options := azcore.ClientOptions{Transport: planes{f}}
	device, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{ClientOptions: options, UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
		if !regexp.MustCompile(`^[A-Z2-9]{9}$`).MatchString(m.UserCode) {
			return fmt.Errorf("user code %q", m.UserCode)
		}
		b := &browser{f: f}
		_, html := b.get(t, devicePath)
		_, html = b.submit(t, devicePath, html, "user_code", m.UserCode)
		b.submit(t, signInPath, html, "username", u.UPN, "password", annsPassword, "decision", "accept")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{vaultAudience, "https://management.core.windows.net/"} { // the second by refresh token
		token, err := device.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := f.Verify(t.Context(), token.Token, resource); err != nil || p.ObjectID != u.ObjectID || !p.IsUser() {
			t.Errorf("%s: %+v, %v", resource, p, err)
		}
	}
}
