package control

import (
	"net/http"

	"github.com/kustos-io/kustos/internal/faults"
)

// ruleList is the answer about all rules.
type ruleList struct {
	Rules []faults.Rule `json:"rules"`
}

func (a *api) listFaults(*http.Request) (int, any, error) {
	return http.StatusOK, ruleList{a.Faults.Rules()}, nil
}

func (a *api) addFault(r *http.Request) (int, any, error) {
	var body struct {
		faults.Rule
		Rate *float64 `json:"rate"` // a rate of 0 is a mistake, none is all
	}
	if err := decode(r, &body); err != nil {
		return 0, nil, err
	}
	refused := func(why string) error {
		return &refusal{http.StatusBadRequest, "InvalidRule", "The rule is refused: " + why + "."}
	}
	if body.Rate != nil {
		if *body.Rate == 0 {
			return 0, nil, refused("rate 0 is not above 0 and up to 1")
		}
		body.Rule.Rate = *body.Rate
	}
	rule, err := a.Faults.Add(body.Rule)
	if err != nil {
		return 0, nil, refused(err.Error())
	}
	a.Log.WarnContext(r.Context(), "fault rule set", "rule", rule.ID, "kind", rule.Kind)
	return http.StatusCreated, rule, nil
}

func (a *api) clearFaults(r *http.Request) (int, any, error) {
	n := a.Faults.Clear()
	a.Log.WarnContext(r.Context(), "fault rules removed", "count", n)
	return http.StatusOK, map[string]int{"removed": n}, nil
}

func (a *api) removeFault(r *http.Request) (int, any, error) {
	id := r.PathValue("id")
	if !a.Faults.Remove(id) {
		return 0, nil, &refusal{http.StatusNotFound, "RuleNotFound", "There is no rule '" + id + "'."}
	}
	return http.StatusOK, map[string]int{"removed": 1}, nil
}
