package keyvault

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Suffix is the domain of the vaults of the public cloud.
const Suffix = ".vault.azure.net"

// Hosts says which addresses are vaults.
type Hosts struct {
	allowed map[string]bool
}

// Address is a vault's base address.
type Address struct {
	// Host is the host in lower case, with a port only when it was allowed so.
	Host string
	// Name is the vault's name when the host lies under Suffix, "" for a host
	// that the operator allowed by name.
	Name string
}

// ErrAddress is wrapped by the refusals of Parse.
var ErrAddress = errors.New("not the address of a vault")

// NewHosts admits one label under Suffix, and the hosts in allowed ("host" or
// "host:port").
func NewHosts(allowed []string) Hosts {
	h := Hosts{allowed: map[string]bool{}}
	for _, host := range allowed {
		h.allowed[strings.ToLower(host)] = true
	}
	return h
}

// Parse reads a vault's address as a client sent it: https, a host that is
// admitted, at most a final slash. The address comes from a request and a token
// goes there, so everything else is refused; no name is resolved and no
// connection made.
func (h Hosts) Parse(text string) (Address, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || strings.TrimSpace(text) != text || strings.ContainsAny(text, `\#?`):
		return Address{}, refuse("it has no plain form")
	case !strings.EqualFold(u.Scheme, "https") || u.Opaque != "":
		return Address{}, refuse("it does not begin with https://")
	case u.User != nil:
		return Address{}, refuse("it has user information")
	case u.Path != "" && u.Path != "/":
		return Address{}, refuse("it has a path")
	}
	host := strings.ToLower(u.Host)
	if h.allowed[host] && !linkLocal(u.Hostname()) {
		return Address{Host: host}, nil
	}
	name, found := strings.CutSuffix(host, Suffix)
	if !found || !vaultName.MatchString(name) || strings.Contains(name, "--") {
		return Address{}, refuse("its host is no vault")
	}
	return Address{Host: host, Name: name}, nil
}

var vaultName = regexp.MustCompile(`^[a-z][a-z0-9-]{1,22}[a-z0-9]$`)

func refuse(why string) error { return &addressError{why} }

type addressError struct{ why string }

func (e *addressError) Error() string        { return ErrAddress.Error() + ": " + e.why }
func (e *addressError) Is(target error) bool { return target == ErrAddress }

// linkLocal reports the addresses of instance metadata: no vault lives there,
// but the machine's own credentials may.
func linkLocal(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLinkLocalUnicast()
}
