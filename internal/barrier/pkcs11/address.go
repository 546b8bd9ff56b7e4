package pkcs11

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Address names a key by the URI scheme of RFC 7512:
//
//	pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/…so&pin-source=file:/…
//
// Other attributes are refused, pin-value by name: arguments can be read by
// every process.
type Address struct {
	Token, Object string
	Module        string
	PINFile       string // "" takes $KUSTOS_PKCS11_PIN_FILE
	text          string
}

// Parse reads an address.
func Parse(text string) (Address, error) {
	rest, ok := strings.CutPrefix(text, Kind+":")
	if !ok {
		return Address{}, fmt.Errorf("%q does not begin with the scheme pkcs11", text)
	}
	path, query, _ := strings.Cut(rest, "?")
	a := Address{text: text}
	for _, list := range []struct{ text, sep string }{{path, ";"}, {query, "&"}} {
		for attribute := range strings.SplitSeq(list.text, list.sep) {
			if attribute == "" {
				continue
			}
			name, value, _ := strings.Cut(attribute, "=")
			value, err := url.PathUnescape(value)
			if err != nil {
				return Address{}, fmt.Errorf("attribute %s: %w", name, err)
			}
			if err := a.set(name, value); err != nil {
				return Address{}, err
			}
		}
	}
	switch {
	case a.Token == "" || a.Object == "":
		return Address{}, errors.New("a pkcs11 seal needs token=LABEL and object=LABEL")
	case !strings.HasPrefix(a.Module, "/"):
		return Address{}, errors.New("a pkcs11 seal needs module-path=/absolute/path/of/module.so")
	}
	return a, nil
}

func (a *Address) set(name, value string) error {
	switch name {
	case "token":
		a.Token = value
	case "object":
		a.Object = value
	case "module-path":
		a.Module = value
	case "pin-source":
		a.PINFile = strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
	case "type":
		if value != "secret-key" {
			return fmt.Errorf("attribute type=%s: the key is a secret-key", value)
		}
	case "pin-value":
		return errors.New("pin-value is refused: every process can read arguments; use pin-source=file:PATH or $KUSTOS_PKCS11_PIN_FILE")
	default:
		return fmt.Errorf("attribute %s is not supported", name)
	}
	return nil
}

// String is the address as it was written; it holds no secret.
func (a Address) String() string { return a.text }
