"""Python SDKs, unmodified: get the cluster, wrap and unwrap a key, run a query."""
import json
import os
import sys

from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm
from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
from azure.mgmt.kusto import KustoManagementClient

made = json.load(open(sys.argv[1]))
env = os.environ
credential = ClientSecretCredential(env["AZURE_TENANT_ID"], env["AZURE_CLIENT_ID"], env["AZURE_CLIENT_SECRET"])

cluster = KustoManagementClient(credential, env["AZURE_SUBSCRIPTION_ID"]).clusters.get(made["group"], made["cluster"])
assert cluster.state == "Running", cluster.state
assert cluster.key_vault_properties.key_name == "key1"
print("python: cluster", cluster.name, cluster.state)

key = KeyClient(f"https://{made['vault']}.vault.azure.net", credential).get_key(made["key"])
crypto = CryptographyClient(key, credential)
secret = os.urandom(32)
wrapped = crypto.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, secret)
assert crypto.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key).key == secret
print("python: wrapped and unwrapped with", key.id)

kcsb = KustoConnectionStringBuilder.with_aad_application_key_authentication(
    made["uri"], env["AZURE_CLIENT_ID"], env["AZURE_CLIENT_SECRET"], env["AZURE_TENANT_ID"])
with KustoClient(kcsb) as client:
    client.execute_mgmt("db1", ".create-merge table Py (Id:long, Text:string, At:datetime)")
    client.execute_mgmt("db1", ".ingest inline into table Py <|\n1,one,2020-01-06\n2,two,2020-01-07\n")
    rows = list(client.execute_query("db1", "Py | where Text == 'two' | project Id, Text, At").primary_results[0])
assert [(r["Id"], r["Text"], r["At"].day) for r in rows] == [(2, "two", 7)], rows
print("python: query answered", rows[0].to_dict())
