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

// deployments makes a group, deploys into it, reads and makes resources by id,
// tags one and deletes the group.
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
	deploying, err := factory.NewDeploymentsClient().BeginCreateOrUpdate(ctx, group, "d1", armresources.Deployment{Properties: &armresources.DeploymentProperties{
		Mode: to.Ptr(armresources.DeploymentModeIncremental),
		Template: map[string]any{
			"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
			"resources": []any{map[string]any{"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31",
				"name": "one", "location": "[resourceGroup().location]"}},
		},
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
