package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// Report is what was found.
type Report struct {
	Extents  int `json:"extents"`
	Segments int `json:"walSegments"`
	Values   int `json:"values"` // of the state
	// VerifiedExtents and VerifiedSegments were decrypted and authenticated as a whole.
	VerifiedExtents  int       `json:"verifiedExtents"`
	VerifiedSegments int       `json:"verifiedWalSegments"`
	Problems         []Problem `json:"problems"`
	// Notes are what is no damage, and what could not be verified and why.
	Notes []string `json:"notes"`
}

// Problem is damage.
type Problem struct {
	Path string `json:"path"` // relative to the folder; of a value: state.db
	What string `json:"what"`
}

// Good says that nothing is damaged as far as it was verified.
func (r *Report) Good() bool { return len(r.Problems) == 0 }

// Add joins another report to this one.
func (r *Report) Add(o Report) {
	r.Extents += o.Extents
	r.Segments += o.Segments
	r.Values += o.Values
	r.VerifiedExtents += o.VerifiedExtents
	r.VerifiedSegments += o.VerifiedSegments
	r.Problems = append(r.Problems, o.Problems...)
	r.Notes = append(r.Notes, o.Notes...)
}

// Damaged adds damage.
func (r *Report) Damaged(path, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{path, fmt.Sprintf(format, args...)})
}

// Note adds what is no damage.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	out := fmt.Sprintf("%d extents (%d verified whole), %d log segments (%d verified whole), %d values of the state\n",
		r.Extents, r.VerifiedExtents, r.Segments, r.VerifiedSegments, r.Values)
	for _, n := range r.Notes {
		out += "note: " + n + "\n"
	}
	for _, p := range r.Problems {
		out += "DAMAGE: " + p.Path + ": " + p.What + "\n"
	}
	switch whole := r.VerifiedExtents == r.Extents && r.VerifiedSegments == r.Segments; {
	case !r.Good():
	case whole:
		out += "no damage found\n"
	default:
		out += "no damage found in what was verified\n"
	}
	_, err := io.WriteString(w, out)
	return err
}
