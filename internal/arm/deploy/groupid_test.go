package deploy_test

import (
	"fmt"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/armtest"
)

// TestGroupIDForms: a resource group of the template is known by its own id, by
// the id that the functions make of its type, and by its name.
func TestGroupIDForms(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	const own, made = `concat('/subscriptions/', subscription().subscriptionId, '/resourceGroups/rgx')`, `subscriptionResourceId('Microsoft.Resources/resourceGroups', 'rgx')`
	for i, dependsOn := range []string{"[" + made + "]", "[" + own + "]", "[resourceId('Microsoft.Resources/resourceGroups', 'rgx')]",
		"[resourceId(subscription().subscriptionId, 'Microsoft.Resources/resourceGroups', 'rgx')]", "rgx", "Microsoft.Resources/resourceGroups/rgx",
		"[concat('/subscriptions/', subscription().subscriptionId, '/resourcegroups/RGX')]"} {
		for j, reference := range []string{made, own, "'rgx'"} {
			body := `{"location":"westeurope","properties":{"mode":"Incremental","template":{"$schema":"https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[
				{"type":"Microsoft.Resources/resourceGroups","apiVersion":"2021-04-01","name":"rgx","location":"westeurope"},
				{"type":"Microsoft.Resources/deployments","apiVersion":"2022-09-01","name":"inner","resourceGroup":"rgx","dependsOn":["` + dependsOn + `"],"properties":{"mode":"Incremental","template":{
				 "$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[{"type":"Microsoft.ManagedIdentity/userAssignedIdentities","apiVersion":"2023-01-31","name":"identity1","location":"westeurope"}]}}}],
				"outputs":{"state":{"type":"string","value":"[reference(` + reference + `).provisioningState]"},"location":{"type":"string","value":"[reference(` + reference + `, '2021-04-01', 'Full').location]"}}}}}`
			d := fmt.Sprintf("%s/providers/Microsoft.Resources/deployments/d%d%d?api-version=2021-04-01", h.Sub, i, j)
			h.Ended(t, h.Must(t, "PUT", d, body, 201))
			a := h.Must(t, "GET", d, "", 200)
			if a.Get("properties", "provisioningState") != "Succeeded" || a.Get("properties", "outputs", "state", "value") != "Succeeded" || a.Get("properties", "outputs", "location", "value") != "westeurope" {
				t.Errorf("dependsOn %s, reference(%s): %s", dependsOn, reference, a.Body)
			}
			h.Ended(t, h.Must(t, "DELETE", h.Sub+"/resourceGroups/rgx?api-version=2021-04-01", "", 202))
		}
	}
}
