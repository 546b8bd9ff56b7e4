package deploy

import (
	"context"

	"github.com/kustos-io/kustos/internal/arm/provider"
)

func (e *Engine) whatIf(context.Context, *provider.Request) (*provider.Response, error) {
	return nil, notSupported("WhatIf", "What-if is not supported.")
}
