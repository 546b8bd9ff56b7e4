package drill

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

// sampleResult has events that crowd together and text that HTML must escape.
func sampleResult() *Result {
	r := &Result{Name: "revocation", Title: "A <b>title</b>", Passed: true, Took: Millis(10 * time.Second), Asked: 7,
		Measures: []Measure{{"time to denial", Millis(400 * time.Millisecond), Millis(1500 * time.Millisecond)}, {"unbounded", Millis(12 * time.Second), 0}},
		Seen:     []Span{{0, Millis(4 * time.Second), Answered, ""}, {Millis(4 * time.Second), Millis(9 * time.Second), Refused, `HTTP 412 "<script>"`}, {Millis(9 * time.Second), Millis(10 * time.Second), Silent, ""}}}
	for i := range 9 {
		kind := Seen
		if i%3 == 0 {
			kind = Act
		}
		r.Events = append(r.Events, Event{Millis(4*time.Second + time.Duration(i)*10*time.Millisecond), kind, "something", "<script>alert(1)</script>"})
	}
	return r
}

func TestPictureHasNoOverlaps(t *testing.T) {
	t.Parallel()
	p := draw(sampleResult())
	for i, a := range p.Marks {
		if a.X < margin || a.X > pictureWidth-margin || a.Y < markSize || a.Y+markSize > p.BandTop {
			t.Errorf("mark %d at %v,%v lies outside", a.N, a.X, a.Y)
		}
		for _, b := range p.Marks[:i] {
			if math.Hypot(a.X-b.X, float64(a.Y-b.Y)) < 2*markSize {
				t.Errorf("marks %d and %d overlap", a.N, b.N)
			}
		}
	}
	for _, b := range p.Bands {
		if b.X < margin || b.X+b.W > pictureWidth-margin+1 {
			t.Errorf("band %+v lies outside", b)
		}
	}
	if n := len(p.Ticks); n < 5 || n > 13 {
		t.Errorf("%d ticks", n)
	}
	if empty := draw(&Result{}); empty.Height <= 0 || len(empty.Marks) != 0 {
		t.Errorf("an empty drill is drawn as %+v", empty)
	}
}

// The page must open without a network and without running anything.
func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	page, err := renderHTML(&Report{Product: "0", Drills: []*Result{sampleResult(), {Name: "failed", Error: "why <not>"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", " src=", "href=", "url(", "@import", "<link", "why <not>", "ZgotmplZ", "%!"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if address := regexp.MustCompile(`https?://`).Find(page); address != nil {
		t.Errorf("the page holds an address")
	}
	if n := bytes.Count(page, []byte("<svg")); n != 2 {
		t.Errorf("%d pictures", n)
	}
}

func TestReportForms(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(sampleResult())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"tookMs":10000`, `"boundMs":1500`, `{"name":"unbounded","tookMs":12000}`, `"questionsAsked":7`} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	var b strings.Builder
	if err := printResult(&b, sampleResult()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"   4.000 s  > something", "400 ms  time to denial (bound 1500 ms)", "12.0 s  unbounded\n", "revocation: passed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
