// Package config turns flags and the environment into one typed Config.
// Nothing else in the server reads flags or environment variables.
package config
