package deploy

import (
	"net/http"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
)

// calculateHash serves Microsoft.Resources/calculateTemplateHash: the body is
// a template.
func (e *Engine) calculateHash(req *provider.Request) (*provider.Response, error) {
	n, err := relaxed.Parse(req.Body)
	if err != nil {
		return nil, azerr.InvalidRequestContent(err.Error())
	}
	if n.Kind != relaxed.Object {
		return nil, azerr.InvalidRequestContent("The template must be a JSON object")
	}
	hash, minified := eval.TemplateHash(n.Value())
	return &provider.Response{Status: http.StatusOK, Body: value.Raw(value.Of(m("minifiedTemplate", minified), m("templateHash", hash)))}, nil
}
