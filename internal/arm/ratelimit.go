package arm

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
)

// Limits are requests per clock hour, principal and subscription (or tenant).
// A limit of 0 is Azure's, counted but not enforced: a local control plane has
// nobody to protect from its one user, and a test suite may well send more.
type Limits struct{ Reads, Writes, Deletes int }

// Azure's limits.
const (
	azureReads   = 12000
	azureWrites  = 1200
	azureDeletes = 15000
)

// quota counts the requests of each principal in each subscription.
type quota struct {
	limits Limits
	mu     sync.Mutex
	hour   time.Time
	used   map[string]int
}

func newQuota(limits Limits) *quota { return &quota{limits: limits, used: map[string]int{}} }

// class is the counter of a method, its limit and whether that is enforced.
func (q *quota) class(method string) (name string, limit int, enforced bool) {
	set := q.limits.Writes
	name, limit = "write", azureWrites
	switch method {
	case http.MethodGet, http.MethodHead:
		name, limit, set = "read", azureReads, q.limits.Reads
	case http.MethodDelete:
		name, limit, set = "delete", azureDeletes, q.limits.Deletes
	}
	if set > 0 {
		return name, set, true
	}
	return name, limit, false
}

// take counts one request, writes the header with what is left, and refuses
// what is over an enforced limit until the hour ends.
func (q *quota) take(h http.Header, method, subscription, principal string, now time.Time) error {
	class, limit, enforced := q.class(method)
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
	left := limit - q.used[key]
	q.mu.Unlock()
	h.Set("x-ms-ratelimit-remaining-"+of+"-"+class+"s", strconv.Itoa(max(left, 0)))
	if !enforced || left >= 0 {
		return nil
	}
	wait := int(hour.Add(time.Hour).Sub(now.UTC())/time.Second) + 1
	if subscription == "" {
		return azerr.TooManyRequests(wait)
	}
	return azerr.SubscriptionRequestsThrottled(subscription, class, wait)
}
