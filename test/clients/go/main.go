// Command go drives a running server with the Go SDKs, unmodified: it deploys,
// uses secrets, reads the cluster, wraps and unwraps a key and runs a query. Its
// argument is the file in which test/clients/az/story.sh says what it made; any
// step that fails ends it with 1.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"github.com/Azure/azure-kusto-go/azkustodata"
	"github.com/Azure/azure-kusto-go/azkustodata/kql"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "go:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var made struct{ Group, Cluster, Vault, Key, URI string }
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &made); err != nil {
		return err
	}
	tenant, id, secret := os.Getenv("AZURE_TENANT_ID"), os.Getenv("AZURE_CLIENT_ID"), os.Getenv("AZURE_CLIENT_SECRET")
	credential, err := azidentity.NewClientSecretCredential(tenant, id, secret, nil)
	if err != nil {
		return err
	}

	if err := deployments(ctx, credential); err != nil {
		return err
	}
	if err := secrets(ctx, credential, made.Vault); err != nil {
		return err
	}
	resources, err := armresources.NewClient(os.Getenv("AZURE_SUBSCRIPTION_ID"), credential, nil)
	if err != nil {
		return err
	}
	cluster, err := resources.Get(ctx, made.Group, "Microsoft.Kusto", "", "clusters", made.Cluster, "2024-04-13", nil)
	if err != nil {
		return err
	}
	properties, ok := cluster.Properties.(map[string]any)
	if !ok || properties["state"] != "Running" {
		return fmt.Errorf("cluster properties %v", cluster.Properties)
	}
	if key, ok := properties["keyVaultProperties"].(map[string]any); !ok || key["keyName"] != "key1" {
		return fmt.Errorf("keyVaultProperties %v", properties["keyVaultProperties"])
	}
	fmt.Println("go: cluster", *cluster.Name, properties["state"])

	keys, err := azkeys.NewClient("https://"+made.Vault+".vault.azure.net", credential, nil)
	if err != nil {
		return err
	}
	plain := make([]byte, 32)
	rand.Read(plain)
	wrapped, err := keys.WrapKey(ctx, made.Key, "", azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: plain}, nil)
	if err != nil {
		return err
	}
	unwrapped, err := keys.UnwrapKey(ctx, wrapped.KID.Name(), wrapped.KID.Version(), azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: wrapped.Result}, nil)
	if err != nil {
		return err
	}
	if !bytes.Equal(unwrapped.Result, plain) {
		return fmt.Errorf("unwrap gave other bytes")
	}
	fmt.Println("go: wrapped and unwrapped with", *wrapped.KID)

	client, err := azkustodata.New(azkustodata.NewConnectionStringBuilder(made.URI).WithAadAppKey(id, secret, tenant))
	if err != nil {
		return err
	}
	defer client.Close()
	for _, command := range []string{".create-merge table Go (Id:long, Text:string)", ".ingest inline into table Go <|\n1,one\n2,two\n"} {
		if _, err := client.Mgmt(ctx, "db1", kql.New("").AddUnsafe(command)); err != nil {
			return err
		}
	}
	result, err := client.Query(ctx, "db1", kql.New("Go | where Text == 'two' | project Id, Text"))
	if err != nil {
		return err
	}
	for _, table := range result.Tables() {
		if !table.IsPrimaryResult() {
			continue
		}
		rows := table.Rows()
		if len(rows) != 1 {
			return fmt.Errorf("%d rows", len(rows))
		}
		n, err := rows[0].LongByName("Id")
		if err != nil || n == nil || *n != 2 {
			return fmt.Errorf("Id is %v, %w", n, err)
		}
		fmt.Println("go: query answered", rows[0])
		return nil
	}
	return fmt.Errorf("no primary result")
}
