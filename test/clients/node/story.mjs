// Node SDKs, unmodified: get the cluster, wrap and unwrap a key, run a query.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { ClientSecretCredential } from "@azure/identity";
import { KustoManagementClient } from "@azure/arm-kusto";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { Client, KustoConnectionStringBuilder } from "azure-kusto-data";

const made = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: id, AZURE_CLIENT_SECRET: secret, AZURE_SUBSCRIPTION_ID: sub } = process.env;
const credential = new ClientSecretCredential(tenant, id, secret);

const cluster = await new KustoManagementClient(credential, sub).clusters.get(made.group, made.cluster);
assert.equal(cluster.state, "Running");
assert.equal(cluster.keyVaultProperties.keyName, "key1");
console.log("node: cluster", cluster.name, cluster.state);

const key = await new KeyClient(`https://${made.vault}.vault.azure.net`, credential).getKey(made.key);
const crypto = new CryptographyClient(key, credential);
const plain = randomBytes(32);
const wrapped = await crypto.wrapKey("RSA-OAEP-256", plain);
const unwrapped = await crypto.unwrapKey("RSA-OAEP-256", wrapped.result);
assert.deepEqual(Buffer.from(unwrapped.result), plain);
console.log("node: wrapped and unwrapped with", key.id);

const kcsb = KustoConnectionStringBuilder.withAadApplicationKeyAuthentication(made.uri, id, secret, tenant);
const client = new Client(kcsb);
await client.execute("db1", ".create-merge table Js (Id:long, Text:string)");
await client.execute("db1", ".ingest inline into table Js <|\n1,one\n2,two\n");
const result = await client.execute("db1", "Js | where Text == 'two' | project Id, Text");
const rows = [...result.primaryResults[0].rows()].map((r) => r.toJSON());
assert.deepEqual(rows, [{ Id: 2, Text: "two" }]);
console.log("node: query answered", rows[0]);
