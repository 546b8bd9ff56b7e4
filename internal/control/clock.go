package control

import (
	"errors"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/clock"
)

// clockState is the answer about the clock.
type clockState struct {
	Mode   string    `json:"mode"` // real or manual
	Now    time.Time `json:"now"`
	Offset string    `json:"offset"` // ahead of the machine's clock
}

func (a *api) clockState() clockState {
	mode := "real"
	if a.Clock.IsManual() {
		mode = "manual"
	}
	return clockState{mode, a.Clock.Now().UTC(), a.Clock.Offset().String()}
}

func (a *api) getClock(*http.Request) (int, any, error) { return http.StatusOK, a.clockState(), nil }

// advance moves the manual clock: {"by":"90d"}.
func (a *api) advance(r *http.Request) (int, any, error) {
	var body struct {
		By string `json:"by"`
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	by, err := clock.ParseDuration(body.By)
	if err != nil {
		return 0, nil, &refusal{http.StatusBadRequest, "InvalidDuration", "The member by: " + err.Error() + "."}
	}
	err = a.Clock.Advance(by, func(offset time.Duration) error {
		if a.Keep == nil {
			return nil
		}
		return a.Keep(r, offset)
	})
	switch {
	case errors.Is(err, clock.ErrReal):
		return 0, nil, &refusal{http.StatusConflict, "ClockIsReal", "The clock is real and cannot be moved; start the server with --clock manual."}
	case errors.Is(err, clock.ErrBackwards), errors.Is(err, clock.ErrTooFar):
		return 0, nil, &refusal{http.StatusBadRequest, "InvalidDuration", "The member by: " + err.Error() + "."}
	case err != nil:
		return 0, nil, err
	}
	a.Log.WarnContext(r.Context(), "clock advanced", "by", by.String(), "offset", a.Clock.Offset().String())
	if a.Advanced != nil {
		a.Advanced(r)
	}
	return http.StatusOK, a.clockState(), nil
}
