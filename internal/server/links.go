package server

import (
	"fmt"
	"os"

	"github.com/kustos-io/kustos/internal/arm/deploy"
)

// templateLinks serves the files below dir to the deployment engine; nothing
// outside of it can be reached, not even by a symbolic link. It is nil, which
// refuses every link, when dir is empty. The folder stays open until the
// process ends.
func templateLinks(dir string) (deploy.Links, error) {
	if dir == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open --template-root: %w", err)
	}
	return deploy.TemplateRoot{FS: root.FS()}, nil
}
