package fsck

import (
	"os"
	"path/filepath"
	"testing"
)

// Bytes behind the last whole page of the state are noticed, whatever the size of a page.
func TestSlack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		page [2]byte
		size int
		want int64
	}{
		"whole":    {[2]byte{0x10, 0}, 3 * 4096, 0},
		"appended": {[2]byte{0x10, 0}, 3*4096 + 100, 100},
		"large":    {[2]byte{0, 1}, 65536 + 7, 7},
		"short":    {[2]byte{0x10, 0}, 99, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := make([]byte, tc.size)
			copy(data[16:], tc.page[:])
			path := filepath.Join(t.TempDir(), stateName)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := slack(path); got != tc.want {
				t.Errorf("slack is %d, want %d", got, tc.want)
			}
		})
	}
	if got := slack(filepath.Join(t.TempDir(), "none")); got != 0 {
		t.Errorf("slack of no file is %d", got)
	}
}
