// Node SDKs, unmodified: group, deployment, resource by id, tags, secrets.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { ClientSecretCredential } from "@azure/identity";
import { ResourceManagementClient } from "@azure/arm-resources";
import { SecretClient } from "@azure/keyvault-secrets";

const made = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: id, AZURE_CLIENT_SECRET: secret, AZURE_SUBSCRIPTION_ID: sub } = process.env;
const credential = new ClientSecretCredential(tenant, id, secret);
const group = `js-${randomBytes(4).toString("hex")}`;
const all = async (pages) => { const out = []; for await (const item of pages) out.push(item); return out; };

const arm = new ResourceManagementClient(credential, sub);
await arm.resourceGroups.createOrUpdate(group, { location: "westeurope", tags: { a: "1" } });
assert.equal((await arm.resourceGroups.checkExistence(group)).body, true);
const template = {
  $schema: "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
  contentVersion: "1.0.0.0",
  resources: [{ type: "Microsoft.ManagedIdentity/userAssignedIdentities", apiVersion: "2023-01-31", name: "one", location: "[resourceGroup().location]" }],
  outputs: { client: { type: "string", value: "[reference('one').clientId]" } },
};
// The package has no deployments of its own since version 7: a deployment is a resource like any other.
const deployment = `/subscriptions/${sub}/resourceGroups/${group}/providers/Microsoft.Resources/deployments/d1`;
const done = await arm.resources.beginCreateOrUpdateByIdAndWait(deployment, "2021-04-01", { properties: { mode: "Incremental", template } });
assert.equal(done.properties.provisioningState, "Succeeded");
const one = await arm.resources.getById(done.properties.outputResources[0].id, "2023-01-31");
assert.equal(one.properties.clientId, done.properties.outputs.client.value);
console.log("node: deployed", one.id);

const two = await arm.resources.beginCreateOrUpdateByIdAndWait(one.id.replace(/one$/, "two"), "2023-01-31", { location: "westeurope" });
await arm.tagsOperations.beginUpdateAtScopeAndWait(two.id, { operation: "Merge", properties: { tags: { b: "2" } } });
assert.deepEqual((await arm.tagsOperations.getAtScope(two.id)).properties.tags, { b: "2" });
assert.deepEqual((await all(arm.resources.listByResourceGroup(group))).map((r) => r.name).sort(), ["one", "two"]);
await arm.resources.beginDeleteByIdAndWait(two.id, "2023-01-31");
await assert.rejects(arm.resources.getById(two.id, "2023-01-31"), { code: "ResourceNotFound" });
await arm.resourceGroups.beginDeleteAndWait(group);
await assert.rejects(arm.resourceGroups.get(group), { code: "ResourceGroupNotFound" });
console.log("node: by id, tags, group deleted");

const name = group;
const secrets = new SecretClient(`https://${made.vault}.vault.azure.net`, credential);
const first = await secrets.setSecret(name, "one", { tags: { t: "1" } });
await secrets.setSecret(name, "two");
assert.equal((await secrets.getSecret(name)).value, "two");
assert.equal((await secrets.getSecret(name, { version: first.properties.version })).value, "one");
assert.equal((await all(secrets.listPropertiesOfSecretVersions(name))).length, 2);
assert.ok((await all(secrets.listPropertiesOfSecrets())).some((s) => s.name === name));
await (await secrets.beginDeleteSecret(name)).pollUntilDone();
await assert.rejects(secrets.getSecret(name), { code: "SecretNotFound" });
assert.ok((await all(secrets.listDeletedSecrets())).some((s) => s.name === name));
await (await secrets.beginRecoverDeletedSecret(name)).pollUntilDone();
assert.equal((await secrets.getSecret(name)).value, "two");
console.log("node: secrets of", made.vault);
