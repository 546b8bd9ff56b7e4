package tour

// clusterTemplate is the article's template without keyVaultProperties.
const clusterTemplate = `{
  "$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {
    "clusterName": { "type": "string", "defaultValue": "[concat('kusto', uniqueString(resourceGroup().id))]" },
    "location": { "type": "string", "defaultValue": "[resourceGroup().location]" }
  },
  "resources": [
    {
      "name": "[parameters('clusterName')]",
      "type": "Microsoft.Kusto/clusters",
      "sku": { "name": "Standard_D13_v2", "tier": "Standard", "capacity": 2 },
      "apiVersion": "2019-09-07",
      "location": "[parameters('location')]",
      "properties": {}
    }
  ],
  "outputs": { "clusterName": { "type": "string", "value": "[parameters('clusterName')]" } }
}`

// keyTemplate names the customer's key; vault, key and version are parameters
// where the article has placeholders.
const keyTemplate = `{
  "$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {
    "clusterName": { "type": "string", "defaultValue": "[concat('kusto', uniqueString(resourceGroup().id))]" },
    "location": { "type": "string", "defaultValue": "[resourceGroup().location]" },
    "keyVaultUri": { "type": "string" },
    "keyName": { "type": "string" },
    "keyVersion": { "type": "string" }
  },
  "resources": [
    {
      "name": "[parameters('clusterName')]",
      "type": "Microsoft.Kusto/clusters",
      "sku": { "name": "Standard_D13_v2", "tier": "Standard", "capacity": 2 },
      "apiVersion": "2019-09-07",
      "location": "[parameters('location')]",
      "properties": {
        "keyVaultProperties": {
          "keyVaultUri": "[parameters('keyVaultUri')]",
          "keyName": "[parameters('keyName')]",
          "keyVersion": "[parameters('keyVersion')]"
        }
      }
    }
  ]
}`
