package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/eventtarget"
)

// formatFlag is the flag, and the key, that says how the log is written.
const formatFlag = "log-format"

var formats = []string{"text", "json"}

// checkFormat wants one of them.
func checkFormat(cmd *cobra.Command, _ []string) error {
	if f, _ := cmd.Flags().GetString(formatFlag); !slices.Contains(formats, f) { // every command has it
		_ = cmd.Flags().Set(formatFlag, formats[0]) // in which this is told
		return fmt.Errorf("--%s: %q is none of them; write text or json", formatFlag, f)
	}
	return nil
}

// logger writes to standard error, in the format that the command was told.
func logger(cmd *cobra.Command) *slog.Logger {
	if f, _ := cmd.Flags().GetString(formatFlag); f == "json" {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

// warn logs what goes wrong, so that standard output is events. The message and the keys
// are those of every target that was told no OnFault.
func warn(cmd *cobra.Command) func(eventtarget.Fault) {
	log := logger(cmd)
	return func(f eventtarget.Fault) { log.Warn("event target fault", "fault", f) }
}

// logProblems logs why something was not done; each mistake of a configuration by itself.
func logProblems(log *slog.Logger, what string, err error) {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		log.Error(what, "err", err)
	}
	for _, p := range problems {
		log.Error(what+": "+p.Text, "at", p.Position.String(), "key", p.Key)
	}
}

// tell tells why a command ended: a line for who reads along, or the log for a program.
func tell(cmd *cobra.Command, err error) {
	if f, _ := cmd.Flags().GetString(formatFlag); f == "json" {
		logProblems(logger(cmd), "ended", err)
		return
	}
	text := strings.TrimPrefix(err.Error(), "eventtarget: ")
	if problems, ok := errors.AsType[config.Problems](err); ok && len(problems) > 1 {
		text = fmt.Sprintf("the configuration has %d mistakes:\n%s", len(problems), text)
	}
	cmd.PrintErrln("eventtarget:", text)
}
