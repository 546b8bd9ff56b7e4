package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// CMKRules selects which rules for customer-managed keys are enforced.
type CMKRules string

const (
	// RulesCurrent: user-assigned identities, RSA and RSA-HSM 2048/3072/4096, versionless keys.
	RulesCurrent CMKRules = "current"
	// Rules2020 are the article's: system identity, RSA-2048 software key, pinned version.
	Rules2020 CMKRules = "2020"
)

// ClockMode selects the clock that retention, keys, schedules and probes follow.
type ClockMode string

const (
	// RealClock is the machine's.
	RealClock ClockMode = "real"
	// ManualClock is the machine's plus what the control API advanced it by.
	ManualClock ClockMode = "manual"
)

// Config is everything `kustos up` can be told.
type Config struct {
	// DataDir holds all state. Default $XDG_DATA_HOME/kustos.
	DataDir string
	// ProxyAddr and DirectAddr are loopback host:port; port 0 picks a free one.
	ProxyAddr, DirectAddr string
	// Seal is KIND:REST; empty means file:$XDG_STATE_HOME/kustos/seals/<instance-id>,
	// or the passphrase when the data folder has that kind of seal.
	Seal     string
	CMKRules CMKRules
	// AllowedVaultHosts may stand in keyVaultUri besides *.vault.azure.net; lower case.
	AllowedVaultHosts []string
	// TemplateRoot is the folder of linked templates, which the deployment engine
	// (and nobody else) sees as https://templates.localhost/; empty means none.
	TemplateRoot string
	// KeyProbeInterval is how often a customer's key is probed; default 20 s.
	KeyProbeInterval time.Duration
	// NoVaultHints keeps our own vaults from asking for a probe at once after a change:
	// revocation is then noticed by the interval alone, as with a vault elsewhere.
	NoVaultHints bool
	// Control is the loopback host:port of the control API; empty means that there is none.
	Control string
	// Clock is the clock of all planes; TLS is always on real time.
	Clock ClockMode
	// ClockTokens makes token lifetimes, and the directory with them, follow the clock too.
	ClockTokens bool
	// EngineMemory is the memory limit of one cluster's engine in bytes; 0 leaves the engine's default.
	EngineMemory int64
	// HotTierBytes is the most that compressed in-memory tables of one cluster may
	// take, besides EngineMemory; default 512 MiB, 0 turns them off.
	HotTierBytes int64
	// AuditSegmentBytes is how large a file of the audit log may become; default 16 MiB.
	AuditSegmentBytes int64
	// RequestLimits are what ARM enforces per clock hour, principal and
	// subscription; 0 is not enforced.
	RequestLimits RequestLimits
	// InertProviders are namespaces whose resources are records and nothing more.
	InertProviders []string
	// RequireConfinement makes a missing landlock or seccomp fatal.
	RequireConfinement bool
	Debug              bool
}

// Default returns the configuration of a start without flags.
func Default() (Config, error) {
	data, err := xdg("XDG_DATA_HOME", ".local/share")
	if err != nil {
		return Config{}, err
	}
	return Config{
		DataDir:           filepath.Join(data, "kustos"),
		ProxyAddr:         "127.0.0.1:8400",
		DirectAddr:        "127.0.0.1:8443",
		CMKRules:          RulesCurrent,
		Clock:             RealClock,
		KeyProbeInterval:  20 * time.Second,
		HotTierBytes:      512 << 20,
		AuditSegmentBytes: 16 << 20,
	}, nil
}

// DefaultSealPath is where the file seal of an instance lies unless told
// otherwise: outside the data folder, so that a copy of the folder is not also
// a copy of the seal.
func DefaultSealPath(instanceID string) (string, error) {
	state, err := xdg("XDG_STATE_HOME", ".local/state")
	if err != nil {
		return "", err
	}
	return filepath.Join(state, "kustos", "seals", instanceID), nil
}

func xdg(variable, fallback string) (string, error) {
	if dir := os.Getenv(variable); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no %s and no home folder: %w", variable, err)
	}
	return filepath.Join(home, fallback), nil
}

// ParseSeal reads the --seal flag: file:PATH, passphrase, passphrase:fd=N,
// pkcs11:… (RFC 7512) or vault:https://HOST/keys/NAME[/VERSION]. Paths of files
// become absolute; what else is wrong is found when the seal is opened.
func ParseSeal(flag string) (spec string, err error) {
	if flag == "" {
		return "", nil
	}
	kind, rest, _ := strings.Cut(flag, ":")
	switch {
	case kind == "passphrase" && (rest == "" || strings.HasPrefix(rest, "fd=")):
		return flag, nil
	case kind == "passphrase":
		return "", errors.New("--seal passphrase takes nothing but fd=N: a passphrase never stands in an argument")
	case (kind == "pkcs11" || kind == "vault") && rest != "":
		return flag, nil
	case kind == "file" && rest != "":
		path, err := filepath.Abs(rest)
		return "file:" + path, err
	}
	return "", fmt.Errorf("--seal %q is not one of file:PATH, passphrase, passphrase:fd=N, pkcs11:ADDRESS, vault:https://HOST/keys/NAME", kind)
}

// RequestLimits are numbers of requests.
type RequestLimits struct{ Reads, Writes, Deletes int }

// ParseRequestLimits reads the --request-limits flag: reads=N, writes=N and
// deletes=N, each at most once.
func ParseRequestLimits(flag []string) (l RequestLimits, err error) {
	fields := map[string]*int{"reads": &l.Reads, "writes": &l.Writes, "deletes": &l.Deletes}
	for _, item := range flag {
		name, text, _ := strings.Cut(item, "=")
		field := fields[name]
		n, convErr := strconv.Atoi(text)
		if field == nil || convErr != nil || n < 1 || *field != 0 {
			return RequestLimits{}, fmt.Errorf("--request-limits %q is not reads=N, writes=N or deletes=N with a positive number", item)
		}
		*field = n
	}
	return l, nil
}

// CheckProbeInterval refuses an interval at which probes would be all that
// happens.
func CheckProbeInterval(d time.Duration) error {
	if d < 100*time.Millisecond {
		return fmt.Errorf("--key-probe-interval %s is under 100ms", d)
	}
	return nil
}

// Validate checks what flags alone cannot say, and names the flag that is wrong.
func (c Config) Validate() error {
	for flag, addr := range map[string]string{"--proxy": c.ProxyAddr, "--listen": c.DirectAddr, "--control": c.Control} {
		if flag == "--control" && addr == "" {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("%s %q is not host:port", flag, addr)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("%s %q is not a loopback address; Kustos listens on this machine only", flag, addr)
		}
	}
	if c.CMKRules != RulesCurrent && c.CMKRules != Rules2020 {
		return fmt.Errorf("--cmk-rules %q is neither %q nor %q", c.CMKRules, RulesCurrent, Rules2020)
	}
	if c.Clock != RealClock && c.Clock != ManualClock {
		return fmt.Errorf("--clock %q is neither %q nor %q", c.Clock, RealClock, ManualClock)
	}
	if c.ClockTokens && c.Clock != ManualClock {
		return errors.New("--clock-tokens needs --clock manual")
	}
	if err := CheckProbeInterval(c.KeyProbeInterval); err != nil {
		return err
	}
	if c.EngineMemory < 0 {
		return fmt.Errorf("--engine-memory %d is less than nothing", c.EngineMemory>>20)
	}
	for _, host := range c.AllowedVaultHosts {
		if !regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?$`).MatchString(host) {
			return fmt.Errorf("--allow-vault-host %q is not a host name", host)
		}
	}
	if c.HotTierBytes < 0 {
		return fmt.Errorf("--hot-tier-bytes %d is less than nothing", c.HotTierBytes)
	}
	if c.AuditSegmentBytes < 4<<10 {
		return fmt.Errorf("--audit-segment-bytes %d is under 4096", c.AuditSegmentBytes)
	}
	for _, ns := range c.InertProviders {
		if !regexp.MustCompile(`^[A-Za-z0-9]+(\.[A-Za-z0-9]+)+$`).MatchString(ns) {
			return fmt.Errorf("--inert-provider %q is not a namespace like Microsoft.Network", ns)
		}
	}
	if c.DataDir == "" {
		return errors.New("--data is empty")
	}
	return nil
}
