package vault

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// route is one operation of the data plane. The pattern's words match without
// case; {name} and {version} take one segment.
type route struct {
	method  string
	pattern string
	right   right
	// maxBody bounds the request's body in bytes.
	maxBody int64
	serve   func(s *Service, c *call) (any, error)
	// refusal is what a known operation that is not offered answers, instead of serve.
	refusal error

	words   []string // of pattern
	named   bool     // pattern holds {name}
	deleted bool     // of soft-deleted objects
}

const (
	smallBody = 64 << 10
	blobBody  = 16 << 20
)

// routes is the table of operations. Where two patterns match, the earlier wins:
// words stand before names.
func routes() []route {
	all := table()
	for i := range all {
		all[i].words = strings.Split(all[i].pattern, "/")
		all[i].named = strings.Contains(all[i].pattern, "{name}")
		all[i].deleted = strings.HasPrefix(all[i].pattern, "deleted")
	}
	return all
}

func table() []route {
	return []route{
		{"GET", "keys", keyList, 0, (*Service).serveListKeys, nil, nil, false, false},
		{"POST", "keys/restore", keyRestore, blobBody, (*Service).serveRestoreKey, nil, nil, false, false},
		{"GET", "keys/{name}/versions", keyList, 0, (*Service).serveListKeyVersions, nil, nil, false, false},
		{"GET", "keys/{name}/rotationpolicy", keyGetPolicy, 0, (*Service).serveGetRotationPolicy, nil, nil, false, false},
		{"PUT", "keys/{name}/rotationpolicy", keySetPolicy, smallBody, (*Service).serveSetRotationPolicy, nil, nil, false, false},
		{"POST", "keys/{name}/create", keyCreate, smallBody, (*Service).serveCreateKey, nil, nil, false, false},
		{"POST", "keys/{name}/rotate", keyRotate, smallBody, (*Service).serveRotateKey, nil, nil, false, false},
		{"POST", "keys/{name}/backup", keyBackup, smallBody, (*Service).serveBackupKey, nil, nil, false, false},
		{"PUT", "keys/{name}", keyImport, smallBody, (*Service).serveImportKey, nil, nil, false, false},
		{"DELETE", "keys/{name}", keyDelete, 0, (*Service).serveDeleteKey, nil, nil, false, false},
		{"GET", "keys/{name}", keyGet, 0, (*Service).serveGetKey, nil, nil, false, false},
		{"PATCH", "keys/{name}", keyUpdate, smallBody, (*Service).serveUpdateKey, nil, nil, false, false},
		{"GET", "keys/{name}/{version}", keyGet, 0, (*Service).serveGetKey, nil, nil, false, false},
		{"GET", "keys/{name}/{version}/attestation", keyGet, 0, (*Service).serveGetKey, nil, nil, false, false},
		{"PATCH", "keys/{name}/{version}", keyUpdate, smallBody, (*Service).serveUpdateKey, nil, nil, false, false},
		{"POST", "keys/{name}/encrypt", "keys encrypt keys/encrypt/action", smallBody, transformRoute(opEncrypt), nil, nil, false, false},
		{"POST", "keys/{name}/decrypt", "keys decrypt keys/decrypt/action", smallBody, transformRoute(opDecrypt), nil, nil, false, false},
		{"POST", "keys/{name}/wrapkey", "keys wrapKey keys/wrap/action", smallBody, transformRoute(opWrap), nil, nil, false, false},
		{"POST", "keys/{name}/unwrapkey", "keys unwrapKey keys/unwrap/action", smallBody, transformRoute(opUnwrap), nil, nil, false, false},
		{"POST", "keys/{name}/sign", "keys sign keys/sign/action", smallBody, transformRoute(opSign), nil, nil, false, false},
		{"POST", "keys/{name}/verify", "keys verify keys/verify/action", smallBody, (*Service).serveVerify, nil, nil, false, false},
		{"POST", "keys/{name}/release", keyRelease, smallBody, nil, azerr.VaultOperationNotOffered("Exportable keys and the operation 'release'"), nil, false, false},
		{"POST", "keys/{name}/{version}/encrypt", "keys encrypt keys/encrypt/action", smallBody, transformRoute(opEncrypt), nil, nil, false, false},
		{"POST", "keys/{name}/{version}/decrypt", "keys decrypt keys/decrypt/action", smallBody, transformRoute(opDecrypt), nil, nil, false, false},
		{"POST", "keys/{name}/{version}/wrapkey", "keys wrapKey keys/wrap/action", smallBody, transformRoute(opWrap), nil, nil, false, false},
		{"POST", "keys/{name}/{version}/unwrapkey", "keys unwrapKey keys/unwrap/action", smallBody, transformRoute(opUnwrap), nil, nil, false, false},
		{"POST", "keys/{name}/{version}/sign", "keys sign keys/sign/action", smallBody, transformRoute(opSign), nil, nil, false, false},
		{"POST", "keys/{name}/{version}/verify", "keys verify keys/verify/action", smallBody, (*Service).serveVerify, nil, nil, false, false},
		{"POST", "keys/{name}/{version}/release", keyRelease, smallBody, nil, azerr.VaultOperationNotOffered("Exportable keys and the operation 'release'"), nil, false, false},
		{"GET", "deletedkeys", keyList, 0, (*Service).serveListDeletedKeys, nil, nil, false, false},
		{"GET", "deletedkeys/{name}", keyGet, 0, (*Service).serveGetDeletedKey, nil, nil, false, false},
		{"DELETE", "deletedkeys/{name}", keyPurge, 0, (*Service).servePurgeKey, nil, nil, false, false},
		{"POST", "deletedkeys/{name}/recover", keyRecover, smallBody, (*Service).serveRecoverKey, nil, nil, false, false},

		{"GET", "secrets", secretList, 0, (*Service).serveListSecrets, nil, nil, false, false},
		{"POST", "secrets/restore", secretRestore, blobBody, (*Service).serveRestoreSecret, nil, nil, false, false},
		{"GET", "secrets/{name}/versions", secretList, 0, (*Service).serveListSecretVersions, nil, nil, false, false},
		{"POST", "secrets/{name}/backup", secretBackup, smallBody, (*Service).serveBackupSecret, nil, nil, false, false},
		{"PUT", "secrets/{name}", secretSet, 4 * smallBody, (*Service).serveSetSecret, nil, nil, false, false},
		{"DELETE", "secrets/{name}", secretDelete, 0, (*Service).serveDeleteSecret, nil, nil, false, false},
		{"GET", "secrets/{name}", secretGet, 0, (*Service).serveGetSecret, nil, nil, false, false},
		{"PATCH", "secrets/{name}", secretUpdate, smallBody, (*Service).serveUpdateSecret, nil, nil, false, false},
		{"GET", "secrets/{name}/{version}", secretGet, 0, (*Service).serveGetSecret, nil, nil, false, false},
		{"PATCH", "secrets/{name}/{version}", secretUpdate, smallBody, (*Service).serveUpdateSecret, nil, nil, false, false},
		{"GET", "deletedsecrets", secretList, 0, (*Service).serveListDeletedSecrets, nil, nil, false, false},
		{"GET", "deletedsecrets/{name}", secretGetDeleted, 0, (*Service).serveGetDeletedSecret, nil, nil, false, false},
		{"DELETE", "deletedsecrets/{name}", secretPurge, 0, (*Service).servePurgeSecret, nil, nil, false, false},
		{"POST", "deletedsecrets/{name}/recover", secretRecover, smallBody, (*Service).serveRecoverSecret, nil, nil, false, false},
	}
}

// split unescapes the segments of a path one by one and drops empty ones, so
// that "//keys/k/" is "keys", "k". An escaped slash stays inside its segment.
func split(escaped string) ([]string, bool) {
	var out []string
	for _, seg := range strings.Split(escaped, "/") {
		if seg == "" {
			continue
		}
		text, err := url.PathUnescape(seg)
		if err != nil {
			return nil, false
		}
		out = append(out, text)
	}
	return out, true
}

// match finds the route of a request and its name and version.
func (s *Service) match(r *http.Request) (found *route, name, version string, err error) {
	segs, ok := split(r.URL.EscapedPath())
	if !ok || len(segs) == 0 {
		return nil, "", "", azerr.VaultRouteNotFound(r.URL.Path)
	}
	if err := refusedByName(r.Method, segs); err != nil {
		return nil, "", "", err
	}
	other := false
	for i := range s.routes {
		name, version, ok = s.routes[i].match(segs)
		switch {
		case ok && s.routes[i].method == r.Method:
			return &s.routes[i], name, version, nil
		case ok:
			other = true
		}
	}
	if other {
		return nil, "", "", azerr.VaultMethodNotAllowed(r.Method, r.URL.Path)
	}
	return nil, "", "", azerr.VaultRouteNotFound(r.URL.Path)
}

func (rt *route) match(segs []string) (name, version string, ok bool) {
	if len(rt.words) != len(segs) {
		return "", "", false
	}
	for i, w := range rt.words {
		switch {
		case w == "{name}":
			name = segs[i]
		case w == "{version}":
			version = segs[i]
		case !strings.EqualFold(w, segs[i]):
			return "", "", false
		}
	}
	return name, version, true
}

// refusedByName answers for the parts of the service that are not built.
func refusedByName(method string, segs []string) error {
	word := strings.ToLower(segs[0])
	switch {
	case word == "certificates" && len(segs) == 2 && strings.EqualFold(segs[1], "contacts") && method == http.MethodGet:
		// azurerm asks on every refresh and takes 404 for "none"
		return &azerr.Error{Status: http.StatusNotFound, Code: "ContactsNotFound", Message: "Contacts not found."}
	case word == "certificates" || word == "deletedcertificates":
		return azerr.VaultOperationNotOffered("Certificates")
	case word == "storage" || word == "deletedstorage":
		return azerr.VaultOperationNotOffered("Managed storage accounts")
	case word == "rng":
		return azerr.ManagedHSMOnly("rng")
	case slices.Contains([]string{"securitydomain", "providers", "settings"}, word):
		return azerr.ManagedHSMOnly(word)
	}
	return nil
}
