package deploy

import (
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	// maxLocations is how many locations the deployments of one scope above
	// resource groups may be kept in.
	maxLocations = 10
	// maxGroups is how many resource groups one deployment may write to.
	maxGroups = 800
)

// checkLocations refuses a new deployment that would be kept in one location too many.
func checkLocations(tx store.Tx, scope ids.ID, name, location string) error {
	if scope.ResourceGroup != "" {
		return nil
	}
	list, err := records(tx, scope)
	if err != nil {
		return err
	}
	seen := map[ids.Location]bool{}
	var used []string
	for _, r := range list {
		at := ids.ParseLocation(r.Location)
		if !seen[at] {
			seen[at] = true
			used = append(used, strings.ToUpper(string(at)))
		}
	}
	if seen[ids.ParseLocation(location)] || len(used) < maxLocations {
		return nil
	}
	return azerr.DeploymentLocationQuotaExceeded(name, maxLocations, used)
}

// countGroup adds the group a resource goes to and refuses one group too many.
func countGroup(groups map[string]bool, scope ids.ID) error {
	if scope.ResourceGroup == "" {
		return nil
	}
	groups[scope.Key()] = true
	if len(groups) > maxGroups {
		return azerr.InvalidTemplateGroups(maxGroups, len(groups))
	}
	return nil
}
