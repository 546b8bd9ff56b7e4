package deploy_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
)

// large is a template of n resources with some twelve expressions each.
func large(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "[concat(parameters('prefix'), '%d')]", "location": "[resourceGroup().location]",
			"tags": {"a": "[toLower(variables('tag'))]", "b": "[uniqueString(resourceGroup().id, '%d')]"},
			"properties": {"a": "[format('{0}-{1}', parameters('prefix'), %d)]", "b": "[if(equals(mod(%d, 2), 0), 'even', 'odd')]", "c": "[union(createArray('a'), createArray('b'))]",
			"d": {"e": "[variables('object').list[0]]", "f": "[guid(resourceGroup().id, '%d')]", "g": "[take(variables('tag'), 3)]", "h": "[subscription().subscriptionId]", "i": "[length(variables('object').list)]"}}}`, i, i, i, i, i)
	}
	return request(doc("["+strings.Join(list, ",\n")+"]", `, "parameters": {"prefix": {"type": "string", "defaultValue": "[concat('n', uniqueString(resourceGroup().id))]"}},
		"variables": {"tag": "[toUpper('some tag')]", "object": {"list": ["[variables('tag')]", 2, 3]}}`), "")
}

func benchmark(b *testing.B, method, action, body string) {
	r := newRig(b)
	defer r.ops.Close()
	id, err := ids.Parse(group + deployments + "d")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		resp, err := r.front.engine.HandleDeployment(context.Background(), &provider.Request{Method: method, ID: id, Action: action, APIVersion: "2021-04-01", Body: []byte(body),
			BaseURL: "https://management.azure.com", Principal: authz.Principal{ObjectID: "o"}, CorrelationID: "c", RequestID: "r", Header: http.Header{}})
		if err != nil {
			b.Fatal(err)
		}
		if resp.OperationID != "" {
			if _, err := r.ops.Wait(context.Background(), resp.OperationID); err != nil {
				b.Fatal(err)
			}
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MB-live")
}

func BenchmarkValidate800(b *testing.B) { benchmark(b, http.MethodPost, "validate", large(800)) }
func BenchmarkWhatIf800(b *testing.B)   { benchmark(b, http.MethodPost, "whatIf", large(800)) }
func BenchmarkDeploy800(b *testing.B)   { benchmark(b, http.MethodPut, "", large(800)) }
func BenchmarkDeployOne(b *testing.B)   { benchmark(b, http.MethodPut, "", large(1)) }
