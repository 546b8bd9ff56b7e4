package openapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
)

func (r *recorder) keys(vault, key, v string) {
	q := "?api-version=" + v
	at := "/keys/" + key
	r.vault(vault, "POST", at+"/create"+q, `{"kty":"RSA","key_size":2048,"tags":{"a":"1"},"attributes":{"exp":4102444800}}`, 200)
	r.vault(vault, "PUT", at+"imported"+q, r.jwk(), 200)
	r.vault(vault, "POST", at+"curve/create"+q, `{"kty":"EC","crv":"P-256"}`, 200)
	r.vault(vault, "GET", "/keys"+q, nil, 200)
	r.vault(vault, "GET", at+"/versions"+q, nil, 200)
	version := after(r.vault(vault, "GET", at+q, nil, 200).Body, "/keys/"+key+"/")
	r.vault(vault, "GET", at+"/"+version+q, nil, 200)
	r.vault(vault, "PATCH", at+"/"+version+q, `{"tags":{"b":"1"}}`, 200)
	r.vault(vault, "PATCH", at+q, `{"tags":{"c":"1"}}`, 200)
	r.transforms(vault, at+"/"+version, q)
	r.transforms(vault, at, q)
	if v >= "7.6" || v >= "2025" && v < "7" {
		r.vault(vault, "GET", at+"/"+version+"/attestation"+q, nil, 200)
	}
	if v >= "7.3" || v < "7" {
		r.vault(vault, "POST", at+"/rotate"+q, nil, 200)
		r.vault(vault, "PUT", at+"/rotationpolicy"+q, `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Rotate"}},{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}],"attributes":{"expiryTime":"P2Y"}}`, 200)
		r.vault(vault, "GET", at+"/rotationpolicy"+q, nil, 200)
	}
	backup := r.vault(vault, "POST", at+"/backup"+q, nil, 200)
	r.vault(vault, "GET", "/keys/none"+q, nil, 404)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "GET", "/deletedkeys"+q, nil, 200)
	r.vault(vault, "GET", "/deletedkeys/"+key+q, nil, 200)
	r.vault(vault, "POST", "/deletedkeys/"+key+"/recover"+q, nil, 200)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "DELETE", "/deletedkeys/"+key+q, nil, 204)
	r.vault(vault, "POST", "/keys/restore"+q, string(backup.Body), 200)
}

// transforms calls what a key does with bytes, each in both directions; at names
// a key with or without its version.
func (r *recorder) transforms(vault, at, q string) {
	value := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	for _, pair := range [][3]string{{"wrapkey", "unwrapkey", "RSA-OAEP-256"}, {"encrypt", "decrypt", "RSA-OAEP"}} {
		made := r.vault(vault, "POST", at+"/"+pair[0]+q, `{"alg":"`+pair[2]+`","value":"`+value+`"}`, 200)
		r.vault(vault, "POST", at+"/"+pair[1]+q, `{"alg":"`+pair[2]+`","value":"`+after(made.Body, `"value":"`)+`"}`, 200)
	}
	signed := r.vault(vault, "POST", at+"/sign"+q, `{"alg":"RS256","value":"`+value+`"}`, 200)
	r.vault(vault, "POST", at+"/verify"+q, `{"alg":"RS256","digest":"`+value+`","value":"`+after(signed.Body, `"value":"`)+`"}`, 200)
}

// jwk is the body of the import of a key made here.
func (r *recorder) jwk() string {
	r.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		r.t.Fatal(err)
	}
	text := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	body, err := json.Marshal(object{"key": object{"kty": "RSA", "n": text(key.N), "e": "AQAB", "d": text(key.D), "p": text(key.Primes[0]), "q": text(key.Primes[1]),
		"dp": text(key.Precomputed.Dp), "dq": text(key.Precomputed.Dq), "qi": text(key.Precomputed.Qinv), "key_ops": []string{"sign", "verify"}}, "tags": object{"a": "1"}})
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

func (r *recorder) secrets(vault, secret, v string) {
	q := "?api-version=" + v
	at := "/secrets/" + secret
	set := r.vault(vault, "PUT", at+q, `{"value":"x","tags":{"a":"1"},"contentType":"text/plain","attributes":{"enabled":true,"exp":4102444800}}`, 200)
	version := after(set.Body, "/secrets/"+secret+"/")
	r.vault(vault, "GET", at+"/"+q, nil, 200)
	r.vault(vault, "GET", at+"/"+version+q, nil, 200)
	r.vault(vault, "PATCH", at+"/"+version+q, `{"tags":{"b":"1"}}`, 200)
	r.vault(vault, "PATCH", at+q, `{"tags":{"c":"1"}}`, 200)
	r.vault(vault, "GET", "/secrets"+q, nil, 200)
	r.vault(vault, "GET", at+"/versions"+q, nil, 200)
	backup := r.vault(vault, "POST", at+"/backup"+q, nil, 200)
	r.vault(vault, "GET", "/secrets/none"+q, nil, 404)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "GET", "/deletedsecrets"+q, nil, 200)
	r.vault(vault, "GET", "/deletedsecrets/"+secret+q, nil, 200)
	r.vault(vault, "POST", "/deletedsecrets/"+secret+"/recover"+q, nil, 200)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "DELETE", "/deletedsecrets/"+secret+q, nil, 204)
	r.vault(vault, "POST", "/secrets/restore"+q, string(backup.Body), 200)
}
