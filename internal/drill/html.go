package drill

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"time"
)

//go:embed report.html
var page string

// writeHTML writes the report as one page: no script, no request elsewhere.
func writeHTML(path string, r *Report) error {
	data, err := renderHTML(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func renderHTML(r *Report) ([]byte, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"draw":    draw,
		"seconds": func(m Millis) string { return fmt.Sprintf("%.3f", time.Duration(m).Seconds()) },
		"when":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
		"mode":    (*Report).mode,
		"next":    func(i int) int { return i + 1 },
		"share":   func(m Measure) float64 { return min(100*float64(m.Took)/float64(m.Bound), 100) },
	}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("report page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("report page: %w", err)
	}
	return b.Bytes(), nil
}
