// Package config reads what a hub is told: a YAML file, over it the environment and
// over that the flags, checked as a whole before anything starts.
//
// Every mistake is a [Problem] that names the file, the line and the key, and what to
// write instead; all of them are told at once. Secrets stand in files of their own or in
// the environment, and no Problem ever repeats one.
package config
