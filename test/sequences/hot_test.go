package sequences_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// bigRows is how many rows are worth a table of the hot tier, and some.
const bigRows = 24_000

// big is a table that is read so often that it comes to the hot tier. It is
// compared by what queries say of its rows.
type big struct {
	table
	rows, sum int
}

// heat makes the table larger at times, and reads it often.
func (w *world) heat() {
	if w.big == nil {
		w.command("db", ".create table H (Id:long, Text:string)")
		w.big = &big{table: table{database: "db", name: "H"}}
	}
	if w.big.rows == 0 || w.random.IntN(3) == 0 {
		first := w.big.rows + 1
		_, err := w.c.Query(w.t.Context(), w.uri, "db", fmt.Sprintf(".set-or-append H <| range Id from %d to %d step 1 | extend Text = strcat('row ', tostring(Id))", first, first+bigRows-1))
		if verdict := w.bigVerdict(err); verdict != "" && !strings.HasPrefix(verdict, "busy:") {
			w.t.Fatalf("ingestion into db.H: %s", verdict)
		} else if err == nil {
			w.big.rows += bigRows
			w.big.sum = w.big.rows * (w.big.rows + 1) / 2
		}
	}
	for range 4 {
		w.settleBig()
	}
	w.hotQueries()
}

func (w *world) bigVerdict(err error) string {
	if err == nil {
		return ""
	}
	return judge(err, w.why(&w.big.table), "db")
}

// settleBig waits until the table answers, or is refused, as it must.
func (w *world) settleBig() {
	w.t.Helper()
	if w.big == nil {
		return
	}
	for deadline := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		verdict := w.lookBig()
		if verdict == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("db.H after %s: %s", patience, verdict)
		}
	}
}

func (w *world) lookBig() string {
	w.t.Helper()
	ask := func(text string) (string, error) {
		rows, err := w.c.Query(w.t.Context(), w.uri, "db", text)
		return fmt.Sprint(rows), err
	}
	got, err := ask("H | summarize tostring(count()), tostring(sum(Id)), tostring(dcount(Id) > 0)")
	why := w.why(&w.big.table)
	if err != nil {
		return judge(err, why, "db")
	}
	if want := fmt.Sprintf("[[%d %d %t]]", w.big.rows, w.big.sum, w.big.rows > 0); got != want {
		w.t.Fatalf("db.H: %s, want %s", got, want)
	}
	if got, err = ask("H | top 2 by Id | project Text"); err != nil {
		return judge(err, why, "db")
	}
	if want := fmt.Sprintf("[[row %d] [row %d]]", w.big.rows, w.big.rows-1); w.big.rows > 0 && got != want {
		w.t.Fatalf("db.H, the first two: %s, want %s", got, want)
	}
	if why != nil {
		return "answered, though " + why.name
	}
	return ""
}

// hotQueries notes how many queries read a table of the hot tier.
func (w *world) hotQueries() {
	rows, err := w.c.Query(w.t.Context(), w.uri, "db", ".show cluster")
	if err != nil {
		return // the engine is being replaced
	}
	var about struct{ HotTier struct{ Queries int } }
	text, _ := rows[0][len(rows[0])-1].(string)
	if err := json.Unmarshal([]byte(text), &about); err == nil {
		w.totals.hot += about.HotTier.Queries
	}
}

// administer lets the test see what the hot tier holds.
func (w *world) administer() error {
	return w.arm(http.MethodPut, "/principalAssignments/me", object{"properties": object{"principalId": w.me, "principalType": "App", "role": "AllDatabasesAdmin", "tenantId": w.c.Conn.TenantID}}, nil)
}

// totals are what all servers did together.
type totals struct {
	servers, double int
	hot             int // queries that read a hot table, at least
}

func (n *totals) String() string {
	return fmt.Sprintf("%d servers, %d with double encryption; %d queries read the hot tier", n.servers, n.double, n.hot)
}
