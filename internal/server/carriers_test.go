package server

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type countedConn struct {
	net.Conn
	closed atomic.Bool
}

func (c *countedConn) Close() error { c.closed.Store(true); return nil }

// over is whether the channel is closed by now.
func over(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// carried is a connection that carried a request to host and has been in state for a while.
func carried(c *carriers, host string, state http.ConnState, ago time.Duration) *countedConn {
	conn := &countedConn{}
	c.state(conn, http.StateNew)
	c.state(conn, http.StateActive)
	c.carries(conn, host)
	c.state(conn, state)
	time.Sleep(ago)
	return conn
}

func TestCarriersEndWithTheirCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarriers()
		idle := carried(c, "C1.westeurope.kusto.windows.net:443", http.StateIdle, 0)
		ingest := carried(c, "ingest-c1.westeurope.kusto.windows.net", http.StateIdle, 0)
		other := carried(c, "c2.westeurope.kusto.windows.net", http.StateIdle, 0)
		busy := carried(c, "c1.westeurope.kusto.windows.net", http.StateActive, 0)
		stuck := carried(c, "c1.westeurope.kusto.windows.net", http.StateActive, time.Second)
		quick := carried(c, "c1.westeurope.kusto.windows.net", http.StateIdle, 0)
		ended, _ := c.end("c1.westeurope.kusto.windows.net", true)
		synctest.Wait()
		if !idle.closed.Load() || !ingest.closed.Load() {
			t.Error("an idle connection is not closed at once")
		}
		if quick.closed.Load() || busy.closed.Load() || other.closed.Load() {
			t.Error("a connection in use, or of another cluster, is closed")
		}
		c.state(quick, http.StateActive) // it is in use again before it is closed
		if !c.carries(quick, "c1.westeurope.kusto.windows.net") {
			t.Error("the client is not told that the connection ends")
		}
		time.Sleep(settleTime * 3 / 2)
		c.state(busy, http.StateIdle)
		synctest.Wait()
		if busy.closed.Load() {
			t.Error("a connection is closed at once: its client has the answer and may be asking again")
		}
		time.Sleep(2 * settleTime)
		synctest.Wait()
		if !busy.closed.Load() || quick.closed.Load() || stuck.closed.Load() {
			t.Error("a connection must end after its answer, and not before")
		}
		time.Sleep(rowsLimit)
		synctest.Wait()
		if !stuck.closed.Load() || !quick.closed.Load() {
			t.Error("a connection is still open after the limit")
		}
		for _, conn := range []net.Conn{idle, ingest, busy, stuck} {
			c.state(conn, http.StateClosed)
		}
		if over(ended) {
			t.Error("ended, and one connection is left")
		}
		c.state(quick, http.StateClosed)
		if !over(ended) {
			t.Error("not ended, and no connection is left")
		}
		if other.closed.Load() {
			t.Error("the other cluster's connection is closed")
		}
	})
}

func TestCarriersOfADatabaseAreNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarriers()
		busy := carried(c, "c1.westeurope.kusto.windows.net", http.StateActive, 0)
		ended, _ := c.end("c1.westeurope.kusto.windows.net", false)
		time.Sleep(10 * rowsLimit)
		synctest.Wait()
		if busy.closed.Load() {
			t.Error("a request for another database was cut")
		}
		c.state(busy, http.StateIdle)
		time.Sleep(2 * settleTime)
		synctest.Wait()
		if !busy.closed.Load() {
			t.Error("the connection outlived its answer")
		}
		c.state(busy, http.StateClosed)
		if !over(ended) {
			t.Error("not ended")
		}
	})
}

// A client that asks on is answered, and told that the connection ends.
func TestAnswerTellsThatTheConnectionEnds(t *testing.T) {
	t.Parallel()
	c := newCarriers()
	c.settle = time.Hour // however long this test is kept from running
	s := httptest.NewUnstartedServer(c.plane(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "rows") })))
	s.Config.ConnContext, s.Config.ConnState = withConnection, c.state
	s.Start()
	defer s.Close()
	ask := func() *http.Response {
		t.Helper()
		resp, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "rows" {
			t.Fatalf("%q, %v", text, err)
		}
		_ = resp.Body.Close()
		return resp
	}
	if ask().Close {
		t.Error("a connection ends for no reason")
	}
	ended, _ := c.end("127.0.0.1", false)
	if !ask().Close {
		t.Error("the client is not told that the connection ends")
	}
	<-ended
	if ask().Close {
		t.Error("the next connection ends for no reason")
	}
}
