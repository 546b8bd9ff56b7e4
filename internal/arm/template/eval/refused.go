package eval

import "github.com/kustos-io/kustos/internal/arm/template/value"

// refusedFunctions are functions of the language that cannot be answered here,
// each with the reason.
func refusedFunctions() map[string]*builtin {
	zone := func(least, most int) *builtin {
		return &builtin{refused: true, least: least, most: most, eager: noZones}
	}
	return map[string]*builtin{
		"toLogicalZone":   zone(3, 3),
		"toLogicalZones":  zone(3, 3),
		"toPhysicalZone":  zone(3, 3),
		"toPhysicalZones": zone(3, 3),
		// externalInputs and externalInput stand in parameter files, which the
		// tools read before anything is sent.
		"externalInput":  {refused: true, most: -1, lazy: func(c *call) (value.Value, error) { return nil, misplaced(c.name) }},
		"externalInputs": {refused: true, most: -1, lazy: func(c *call) (value.Value, error) { return nil, misplaced(c.name) }},
	}
}

// noZones: subscription, location, zone or zones. No location here is divided
// into zones, so there is nothing to map.
func noZones(c *call, args []value.Value) (value.Value, error) {
	for i, a := range args[:2] {
		if _, ok := a.(string); !ok {
			return nil, wrongArgument(c.name, i, "String", a)
		}
	}
	return nil, Errorf("The template language function '%s' is not supported: the location '%s' has no availability zones. %s", c.name, args[1], see(c.name))
}
