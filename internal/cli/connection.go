package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Connection is DIR/connection.json as a client reads it.
type Connection struct {
	Proxy          string `json:"proxy"`
	CAFile         string `json:"caFile"`
	Direct         string `json:"direct"`
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
	SealFile       string `json:"sealFile"`
	InstanceID     string `json:"instanceId"`
	PID            int    `json:"pid"`
	// Control and ControlToken are empty when the control API is off.
	Control      string `json:"control"`
	ControlToken string `json:"controlToken"`
}

// ReadConnection reads the connection file of the server on dir.
func ReadConnection(dir string) (Connection, error) {
	path := filepath.Join(dir, "connection.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Connection{}, fmt.Errorf("no server has been started on %s: %s is missing; start one with 'kustos up'", dir, path)
	}
	if err != nil {
		return Connection{}, err
	}
	var c Connection
	if err := json.Unmarshal(data, &c); err != nil {
		return Connection{}, fmt.Errorf("%s is not a connection file: %w", path, err)
	}
	return c, nil
}
