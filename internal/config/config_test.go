package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/config"
)

func TestDefaults(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/d")
	t.Setenv("XDG_STATE_HOME", "/s")
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/d/kustos" || c.ProxyAddr != "127.0.0.1:8400" || c.DirectAddr != "127.0.0.1:8443" || c.KeyProbeInterval != 20*time.Second {
		t.Errorf("defaults %+v", c)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if p, err := config.DefaultSealPath("id"); err != nil || p != filepath.FromSlash("/s/kustos/seals/id") {
		t.Errorf("seal path %q, %v", p, err)
	}
}

func TestValidateNamesTheFlag(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/d")
	tests := map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"proxy not loopback": {func(c *config.Config) { c.ProxyAddr = "0.0.0.0:80" }, "--proxy"},
		"listen no port":     {func(c *config.Config) { c.DirectAddr = "localhost" }, "--listen"},
		"rules":              {func(c *config.Config) { c.CMKRules = "1999" }, "--cmk-rules"},
		"engine memory":      {func(c *config.Config) { c.EngineMemory = -1 << 20 }, "--engine-memory -1"},
		"vault host":         {func(c *config.Config) { c.AllowedVaultHosts = []string{"https://x/y"} }, "--allow-vault-host"},
		"probe":              {func(c *config.Config) { c.KeyProbeInterval = time.Millisecond }, "--key-probe-interval"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := config.Default()
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&c)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate() = %v, want an error naming %s", err, tt.want)
			}
		})
	}
}

func TestParseSeal(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "file:/a/b", "passphrase", "passphrase:fd=3", "pkcs11:token=t;object=o?module-path=/m.so", "vault:https://kv1.vault.azure.net/keys/k"} {
		if spec, err := config.ParseSeal(good); err != nil || spec != good {
			t.Errorf("ParseSeal(%q) = %q, %v", good, spec, err)
		}
	}
	for _, bad := range []string{"file:", "x", "passphrase:hunter2", "pkcs11:", "vault:", "tpm:0"} {
		if _, err := config.ParseSeal(bad); err == nil {
			t.Errorf("ParseSeal(%q) was not refused", bad)
		}
	}
}
