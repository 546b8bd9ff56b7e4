package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/connection"
)

// controlTimeout bounds one call of the control API.
const controlTimeout = time.Minute

// Control calls the control API of the server that wrote c and returns the
// answer's body. A refusal is an error with the server's sentence.
func Control(ctx context.Context, c connection.File, method, path string, body any) ([]byte, error) {
	if c.Control == "" {
		return nil, errors.New("this server has no control API; start it with --control 127.0.0.1:0")
	}
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Control+path, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.ControlToken)
	// Not through HTTP_PROXY, which may name this very server.
	client := &http.Client{Timeout: controlTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		var refused struct{ Error struct{ Message string } }
		if json.Unmarshal(data, &refused) != nil || refused.Error.Message == "" {
			return nil, fmt.Errorf("the control API answered HTTP %d", resp.StatusCode)
		}
		return nil, errors.New(refused.Error.Message)
	}
	return data, nil
}

func newClock() *cobra.Command {
	ask := func(cmd *cobra.Command, method, path string, body any) error {
		_, c, err := running(cmd)
		if err != nil {
			return err
		}
		data, err := Control(cmd.Context(), c, method, path, body)
		if err != nil {
			return err
		}
		var state struct{ Mode, Now, Offset string }
		if err := json.Unmarshal(data, &state); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (%s clock, ahead by %s)\n", state.Now, state.Mode, state.Offset)
		return err
	}
	cmd := &cobra.Command{
		Use: "clock", Short: "Show the clock of the running server, or move it forward", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return ask(cmd, http.MethodGet, "/clock", nil) },
	}
	cmd.AddCommand(&cobra.Command{
		Use: "advance DURATION", Short: "Move the manual clock forward, for example by 90d or 1d12h", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, http.MethodPost, "/clock/advance", map[string]string{"by": args[0]})
		},
	})
	return cmd
}
