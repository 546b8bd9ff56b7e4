package drill

import (
	"fmt"
	"time"
)

// Sizes of the picture, in its own units.
const (
	pictureWidth = 1000
	margin       = 20
	markSize     = 11 // radius of a mark
	rowHeight    = 26
	bandHeight   = 30
	axisHeight   = 34
)

// picture is the time line of a drill, laid out.
type picture struct {
	Width, Height int
	Left, Right   int
	BandTop       int
	BandHeight    int
	AxisTop       int
	Bands         []band
	Marks         []mark
	Ticks         []tick
}

type band struct {
	X, W    float64
	Outcome string
	Title   string
}

type mark struct {
	X       float64
	Y, Foot int
	N       int
	Kind    string
	Title   string
}

type tick struct {
	X     float64
	Label string
}

// draw lays the time line out: what a client was answered as a band, events as
// numbered marks above it, stacked where they would touch.
func draw(r *Result) picture {
	whole := max(time.Duration(r.Took), time.Millisecond)
	scale := func(m Millis) float64 {
		d := min(max(time.Duration(m), 0), whole)
		return margin + float64(d)/float64(whole)*(pictureWidth-2*margin)
	}
	p := picture{Width: pictureWidth, Left: margin, Right: pictureWidth - margin, BandHeight: bandHeight}
	var ends []float64 // right edge of the last mark of each row
	for i, e := range r.Events {
		x, row := scale(e.At), 0
		for row < len(ends) && ends[row]+2 > x-markSize {
			row++
		}
		if row == len(ends) {
			ends = append(ends, 0)
		}
		ends[row] = x + markSize
		p.Marks = append(p.Marks, mark{X: x, Y: row, N: i + 1, Kind: e.Kind, Title: e.What})
	}
	p.BandTop = len(ends)*rowHeight + 6
	p.AxisTop = p.BandTop + bandHeight
	p.Height = p.AxisTop + axisHeight
	for i := range p.Marks { // the first row lies next to the band
		p.Marks[i].Y = p.BandTop - 6 - p.Marks[i].Y*rowHeight - rowHeight/2
		p.Marks[i].Foot = p.BandTop
	}
	for _, s := range r.Seen {
		from, to := scale(s.From), scale(s.To)
		title := s.Outcome
		if s.Detail != "" {
			title += ": " + s.Detail
		}
		p.Bands = append(p.Bands, band{from, max(to-from, 1), s.Outcome, title})
	}
	step := tickStep(whole)
	for t := time.Duration(0); t <= whole; t += step {
		p.Ticks = append(p.Ticks, tick{scale(Millis(t)), fmt.Sprintf("%g s", t.Seconds())})
	}
	return p
}

// tickStep is a round step that gives 5 to 12 ticks.
func tickStep(whole time.Duration) time.Duration {
	for step := 100 * time.Millisecond; ; step *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if whole/(step*factor) < 12 {
				return step * factor
			}
		}
	}
}
