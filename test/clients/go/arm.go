package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

// often asks as frequently as the SDK lets one.
var often = &runtime.PollUntilDoneOptions{Frequency: time.Second}

// deployments makes a group, deploys into it, validates and asks what-if, reads
// and makes resources by id, tags one, moves another and deletes the group.
func deployments(ctx context.Context, credential azcore.TokenCredential) error {
	factory, err := armresources.NewClientFactory(os.Getenv("AZURE_SUBSCRIPTION_ID"), credential, nil)
	if err != nil {
		return err
	}
	suffix := make([]byte, 4)
	rand.Read(suffix)
	group := "go-" + hex.EncodeToString(suffix)
	groups, resources := factory.NewResourceGroupsClient(), factory.NewClient()
	if _, err := groups.CreateOrUpdate(ctx, group, armresources.ResourceGroup{Location: to.Ptr("westeurope")}, nil); err != nil {
		return err
	}
	if exists, err := groups.CheckExistence(ctx, group, nil); err != nil || !exists.Success {
		return fmt.Errorf("the group exists: %v, %w", exists.Success, err)
	}
	template := map[string]any{
		"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
		"resources": []any{map[string]any{"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31",
			"name": "one", "location": "[resourceGroup().location]"}},
	}
	deploying, err := factory.NewDeploymentsClient().BeginCreateOrUpdate(ctx, group, "d1", armresources.Deployment{Properties: &armresources.DeploymentProperties{
		Mode:     to.Ptr(armresources.DeploymentModeIncremental),
		Template: template,
	}}, nil)
	if err != nil {
		return err
	}
	done, err := deploying.PollUntilDone(ctx, often)
	if err != nil {
		return err
	}
	if state := *done.Properties.ProvisioningState; state != armresources.ProvisioningStateSucceeded || len(done.Properties.OutputResources) != 1 {
		return fmt.Errorf("deployment %s with %d resources", state, len(done.Properties.OutputResources))
	}
	one := *done.Properties.OutputResources[0].ID
	if err := again(ctx, factory, group, template); err != nil {
		return err
	}
	if _, err := resources.GetByID(ctx, one, "2023-01-31", nil); err != nil {
		return err
	}
	two := one[:len(one)-len("one")] + "two"
	making, err := resources.BeginCreateOrUpdateByID(ctx, two, "2023-01-31", armresources.GenericResource{Location: to.Ptr("westeurope")}, nil)
	if err != nil {
		return err
	}
	if _, err := making.PollUntilDone(ctx, often); err != nil {
		return err
	}
	tags, err := factory.NewTagsClient().UpdateAtScope(ctx, two, armresources.TagsPatchResource{
		Operation: to.Ptr(armresources.TagsPatchOperationMerge), Properties: &armresources.Tags{Tags: map[string]*string{"b": to.Ptr("2")}}}, nil)
	if err != nil || *tags.Properties.Tags["b"] != "2" {
		return fmt.Errorf("the tags of %s: %w", two, err)
	}
	if err := moves(ctx, factory, group, two); err != nil {
		return err
	}
	deleting, err := groups.BeginDelete(ctx, group, nil)
	if err != nil {
		return err
	}
	if _, err := deleting.PollUntilDone(ctx, often); err != nil {
		return err
	}
	if _, err := groups.Get(ctx, group, nil); !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("the deleted group: %w", err)
	}
	fmt.Println("go: deployed, made by id, tagged and deleted", group)
	return nil
}

// again validates what was deployed, and asks what another deployment of it
// would change: nothing.
func again(ctx context.Context, factory *armresources.ClientFactory, group string, template any) error {
	client := factory.NewDeploymentsClient()
	validating, err := client.BeginValidate(ctx, group, "d1", armresources.Deployment{Properties: &armresources.DeploymentProperties{
		Mode: to.Ptr(armresources.DeploymentModeIncremental), Template: template}}, nil)
	if err != nil {
		return err
	}
	if _, err := validating.PollUntilDone(ctx, often); err != nil {
		return err
	}
	asking, err := client.BeginWhatIf(ctx, group, "d1", armresources.DeploymentWhatIf{Properties: &armresources.DeploymentWhatIfProperties{
		Mode: to.Ptr(armresources.DeploymentModeIncremental), Template: template}}, nil)
	if err != nil {
		return err
	}
	result, err := asking.PollUntilDone(ctx, often)
	if err != nil {
		return err
	}
	for _, c := range result.Properties.Changes {
		if *c.ChangeType != armresources.ChangeTypeNoChange {
			return fmt.Errorf("what-if of what is deployed: %s %s", *c.ChangeType, *c.ResourceID)
		}
	}
	return nil
}

// moves asks for the move of a vault to a group of its own, and for that of a
// user-assigned identity, which the service does not have.
func moves(ctx context.Context, factory *armresources.ClientFactory, group, identity string) error {
	groups, resources := factory.NewResourceGroupsClient(), factory.NewClient()
	target, err := groups.CreateOrUpdate(ctx, group+"-to", armresources.ResourceGroup{Location: to.Ptr("westeurope")}, nil)
	if err != nil {
		return err
	}
	vault := "/providers/Microsoft.KeyVault/vaults/" + group
	source := (*target.ID)[:len(*target.ID)-len("-to")]
	making, err := resources.BeginCreateOrUpdateByID(ctx, source+vault, "2022-07-01", armresources.GenericResource{Location: to.Ptr("westeurope"), Properties: map[string]any{
		"tenantId": os.Getenv("AZURE_TENANT_ID"), "sku": map[string]any{"family": "A", "name": "standard"}, "accessPolicies": []any{}}}, nil)
	if err != nil {
		return err
	}
	if _, err := making.PollUntilDone(ctx, often); err != nil {
		return err
	}
	refused, err := resources.BeginValidateMoveResources(ctx, group, armresources.MoveInfo{Resources: []*string{&identity}, TargetResourceGroup: target.ID}, nil)
	if err != nil {
		return err
	}
	if _, err := refused.PollUntilDone(ctx, often); !isStatus(err, http.StatusConflict) {
		return fmt.Errorf("the move of an identity: %w", err)
	}
	moving, err := resources.BeginMoveResources(ctx, group, armresources.MoveInfo{Resources: []*string{to.Ptr(source + vault)}, TargetResourceGroup: target.ID}, nil)
	if err != nil {
		return err
	}
	if _, err := moving.PollUntilDone(ctx, often); err != nil {
		return err
	}
	if _, err := resources.GetByID(ctx, *target.ID+vault, "2022-07-01", nil); err != nil {
		return fmt.Errorf("the moved vault: %w", err)
	}
	deleting, err := groups.BeginDelete(ctx, *target.Name, nil)
	if err != nil {
		return err
	}
	_, err = deleting.PollUntilDone(ctx, often)
	return err
}

// secrets sets, lists, deletes and recovers one secret of vault.
func secrets(ctx context.Context, credential azcore.TokenCredential, vault string) error {
	client, err := azsecrets.NewClient("https://"+vault+".vault.azure.net", credential, nil)
	if err != nil {
		return err
	}
	const name = "go-secret"
	for _, value := range []string{"one", "two"} {
		if _, err := client.SetSecret(ctx, name, azsecrets.SetSecretParameters{Value: &value}, nil); err != nil {
			return err
		}
	}
	versions := 0
	for pager := client.NewListSecretPropertiesVersionsPager(name, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return err
		}
		versions += len(page.Value)
	}
	if versions != 2 {
		return fmt.Errorf("%d versions of %s", versions, name)
	}
	if _, err := client.DeleteSecret(ctx, name, nil); err != nil {
		return err
	}
	if _, err := client.GetSecret(ctx, name, "", nil); !isStatus(err, http.StatusNotFound) {
		return fmt.Errorf("the deleted secret: %w", err)
	}
	if _, err := client.RecoverDeletedSecret(ctx, name, nil); err != nil {
		return err
	}
	got, err := client.GetSecret(ctx, name, "", nil)
	if err != nil || *got.Value != "two" {
		return fmt.Errorf("the recovered secret: %w", err)
	}
	fmt.Println("go: secrets of", vault)
	return nil
}

func isStatus(err error, status int) bool {
	var answer *azcore.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == status
}
