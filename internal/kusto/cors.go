package kusto

import "net/http"

// crossOrigin answers for browsers: any origin may call, because what admits a
// caller is a bearer token that no browser sends by itself. It reports whether
// the request was a preflight, which needs no authentication and is answered.
func crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	h := w.Header()
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Expose-Headers", "x-ms-client-request-id, x-ms-activity-id")
	}
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	headers := "Authorization, Content-Type, Content-Encoding, Accept"
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		headers = asked // every x-ms-* header is allowed, and they cannot be listed
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Allow-Headers", headers)
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
