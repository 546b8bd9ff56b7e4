package arm

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// quota counts the requests of a principal in a subscription per clock hour
// and tells how many are left of Azure's limits. It informs and does not
// refuse: a local control plane has nobody to protect from its one user, and a
// test suite may well send more.
type quota struct {
	mu   sync.Mutex
	hour time.Time
	used map[string]int
}

func newQuota() *quota { return &quota{used: map[string]int{}} }

// set counts one request and writes the header with what is left.
func (q *quota) set(h http.Header, method, subscription, principal string, now time.Time) {
	class, limit := "writes", 1200
	switch method {
	case http.MethodGet, http.MethodHead:
		class, limit = "reads", 12000
	case http.MethodDelete:
		class, limit = "deletes", 15000
	}
	of := "subscription"
	if subscription == "" {
		of = "tenant"
	}
	hour := now.UTC().Truncate(time.Hour)
	key := strings.ToLower(subscription) + "\x00" + principal + "\x00" + class
	q.mu.Lock()
	if !hour.Equal(q.hour) {
		q.hour, q.used = hour, map[string]int{}
	}
	q.used[key]++
	left := max(limit-q.used[key], 0)
	q.mu.Unlock()
	h.Set("x-ms-ratelimit-remaining-"+of+"-"+class, strconv.Itoa(left))
}
