package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Problem is one thing that is wrong with a log.
type Problem struct {
	Segment string `json:"segment,omitempty"`
	Frame   uint64 `json:"frame,omitempty"`
	What    string `json:"what"`
}

func (p Problem) String() string {
	out := p.What
	if p.Frame > 0 {
		out = fmt.Sprintf("frame %d: %s", p.Frame, out)
	}
	if p.Segment != "" {
		out = p.Segment + ": " + out
	}
	return out
}

// Report is what Verify found. The log is good when there are no problems.
type Report struct {
	Segments int    `json:"segments"`
	Frames   uint64 `json:"frames"`
	Events   uint64 `json:"events"`
	// Ahead is how many frames lie behind the head: what was written after the
	// head was read, or just before a crash. Their removal would not be found.
	Ahead    uint64    `json:"ahead"`
	Problems []Problem `json:"problems,omitempty"`
}

// Good reports whether nothing is wrong.
func (r Report) Good() bool { return len(r.Problems) == 0 }

// Verify walks a whole log: every frame opens, follows the one before it in
// number and hash, the events count without a gap, and the chain passes
// through the head. Events that are missing, changed, exchanged or added are
// problems; the walk goes on behind each of them. head must have been read
// before the call. An error means that the log could not be read at all.
func Verify(dir, instance string, opener Opener, head Head) (Report, error) {
	files, err := segments(dir)
	if err != nil {
		return Report{}, err
	}
	v := &verifier{opener: opener, head: head, at: Head{Link: startOf(instance)}, instance: instance, passed: head.Frames == 0}
	for i, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return v.report, fmt.Errorf("read audit log: %w", err)
		}
		v.name = filepath.Base(path)
		v.segment(data, i == len(files)-1)
	}
	v.name = ""
	switch {
	case v.at.Frames < head.Frames:
		v.problem(0, fmt.Sprintf("the files end at frame %d, the head is at frame %d: %d frames were taken off the end", v.at.Frames, head.Frames, head.Frames-v.at.Frames))
	case !v.passed:
		v.problem(0, fmt.Sprintf("the chain does not pass through the head at frame %d: the log was replaced", head.Frames))
	default:
		v.report.Ahead = v.at.Frames - head.Frames
	}
	return v.report, nil
}

type verifier struct {
	opener   Opener
	instance string
	head     Head
	report   Report
	name     string // of the segment
	at       Head   // after the last frame
	passed   bool   // the head was met
}

func (v *verifier) problem(frame uint64, what string) {
	v.report.Problems = append(v.report.Problems, Problem{Segment: v.name, Frame: frame, What: what})
}

func (v *verifier) segment(data []byte, newest bool) {
	v.report.Segments++
	header, err := parseSegmentHeader(data)
	switch {
	case err != nil:
		v.problem(0, err.Error())
		return
	case header.instance != v.instance:
		v.problem(0, "it is of another instance, "+header.instance)
	}
	if v.name != segmentName(header.first) {
		v.problem(0, "its name is not the number of its first frame")
	}
	v.follow(header.first, header.prev)
	for f, err := range walk(data) {
		if errors.Is(err, errTorn) && newest {
			break // being written, or left by a crash: never reported as durable
		}
		if err != nil {
			v.problem(v.at.Frames+1, err.Error())
			return
		}
		v.frame(f)
	}
}

// follow checks that number and prev continue what was seen, and goes on there.
func (v *verifier) follow(number uint64, prev link) {
	switch want := v.at.Frames + 1; {
	case number > want:
		v.problem(number, fmt.Sprintf("frames %d to %d are missing before it", want, number-1))
	case number < want:
		v.problem(number, fmt.Sprintf("it stands where frame %d should", want))
	case prev != v.at.Link:
		v.problem(number, "it does not follow the frame before it: one of them was changed")
	}
	v.at.Frames, v.at.Link = number-1, prev
}

func (v *verifier) frame(f frame) {
	v.follow(f.number, f.prev)
	v.report.Frames++
	v.at.Frames, v.at.Link = f.number, next(f.raw)
	if f.number == v.head.Frames {
		v.passed = v.at.Link == v.head.Link
		if !v.passed {
			v.problem(f.number, "it is not the frame that the head names")
		}
	}
	if v.opener == nil {
		return
	}
	events, err := f.events(v.opener)
	if err != nil {
		v.problem(f.number, err.Error())
		return
	}
	for _, e := range events {
		if e.Sequence != v.at.Events+1 {
			v.problem(f.number, fmt.Sprintf("event %d stands where event %d should", e.Sequence, v.at.Events+1))
		}
		v.at.Events = e.Sequence
		v.report.Events++
	}
}
