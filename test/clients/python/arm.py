"""Python SDKs, unmodified: group, deployment, resource by id, tags, vault, secrets."""
import json
import os
import sys
import uuid

from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.resource import ResourceManagementClient
from azure.mgmt.resource.deployments import DeploymentsMgmtClient

made = json.load(open(sys.argv[1]))
env = os.environ
tenant, sub = env["AZURE_TENANT_ID"], env["AZURE_SUBSCRIPTION_ID"]
credential = ClientSecretCredential(tenant, env["AZURE_CLIENT_ID"], env["AZURE_CLIENT_SECRET"])
suffix = uuid.uuid4().hex[:8]
group, vault = f"py-{suffix}", f"py-{suffix}"

resources = ResourceManagementClient(credential, sub)
resources.resource_groups.create_or_update(group, {"location": "westeurope", "tags": {"a": "1"}})
assert resources.resource_groups.check_existence(group)
assert group in [g.name for g in resources.resource_groups.list(filter="tagName eq 'a'")]

template = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "parameters": {"name": {"type": "string"}},
    "resources": [{"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31",
                   "name": "[parameters('name')]", "location": "[resourceGroup().location]"}],
    "outputs": {"client": {"type": "string", "value": "[reference(parameters('name')).clientId]"}},
}
deployments = DeploymentsMgmtClient(credential, sub).deployments
body = {"properties": {"mode": "Incremental", "template": template, "parameters": {"name": {"value": "one"}}}}
whatif = deployments.begin_what_if(group, "d1", body).result()
assert [c.change_type for c in whatif.changes] == ["Create"], whatif.changes
done = deployments.begin_create_or_update(group, "d1", body).result()
assert done.properties.provisioning_state == "Succeeded"
identity = resources.resources.get_by_id(done.properties.output_resources[0].id, "2023-01-31")
assert identity.properties["clientId"] == done.properties.outputs["client"]["value"]
assert "template" in dict(deployments.export_template(group, "d1").as_dict())
print("python: what-if, deployment, export of", identity.id)

resources.tags.begin_update_at_scope(identity.id, {"operation": "Merge", "properties": {"tags": {"b": "2"}}}).result()
assert resources.tags.get_at_scope(identity.id).properties.tags == {"b": "2"}
assert [r.name for r in resources.resources.list_by_resource_group(group, filter="tagName eq 'b' and tagValue eq '2'")] == ["one"]
resources.resources.begin_delete_by_id(identity.id, "2023-01-31").result()

vaults = KeyVaultManagementClient(credential, sub).vaults
mine = vaults.get(made["group"], made["vault"])
properties = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "softDeleteRetentionInDays": 7, "enableRbacAuthorization": False,
              "accessPolicies": mine.properties.access_policies}
vaults.begin_create_or_update(group, vault, {"location": "westeurope", "properties": properties}).result()
assert [v.name for v in vaults.list_by_resource_group(group)] == [vault]

secrets = SecretClient(f"https://{vault}.vault.azure.net", credential)
first = secrets.set_secret("s1", "one", tags={"t": "1"})
secrets.set_secret("s1", "two")
assert secrets.get_secret("s1").value == "two"
assert secrets.get_secret("s1", first.properties.version).value == "one"
assert [s.name for s in secrets.list_properties_of_secrets()] == ["s1"]
assert len(list(secrets.list_properties_of_secret_versions("s1"))) == 2
secrets.begin_delete_secret("s1").result()
try:
    secrets.get_secret("s1")
    raise SystemExit("a deleted secret was read")
except ResourceNotFoundError:
    pass
assert [s.name for s in secrets.list_deleted_secrets()] == ["s1"]
secrets.begin_recover_deleted_secret("s1").result()
assert secrets.get_secret("s1").value == "two"
print("python: secrets of", vault)

vaults.delete(group, vault)
assert vault in [v.name for v in vaults.list_deleted()]
vaults.begin_purge_deleted(vault, "westeurope").result()
resources.resource_groups.begin_delete(group).result()
assert not resources.resource_groups.check_existence(group)
print("python: vault deleted and purged, group deleted")
