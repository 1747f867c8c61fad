package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
)

func newHub() *cobra.Command {
	var file string
	var check bool
	cmd := &cobra.Command{
		Use:   "hub",
		Short: "Run a hub that relays between its spokes",
		Long: "Run a hub that relays between its spokes, over WebSocket at /ws and over QUIC. What they\n" +
			"dispatch can be listened to at /sse?topic=chat:* too (server-sent events), and\n" +
			"POST /dispatch takes one event. The hub prints a line for each listener when it is ready,\n" +
			"and ends on SIGTERM or Ctrl-C by draining.\n\n" +
			"What it is to do stands in a YAML file (docs/configuration.md, hub.schema.json); variables\n" +
			"such as EVENTTARGET_LIMITS_SPOKES override the file, and flags override both. SIGHUP makes\n" +
			"it read the file again: tokens, topics, origins, the numbers of spokes and certificates\n" +
			"change without a connection being dropped.",
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			source := config.Source{File: file, Environ: os.Environ()}
			source.Flags, source.Names = hubFlags(cmd)
			c, unknown, err := config.Load(source)
			if c != nil && slices.Contains(formats, c.LogFormat) {
				_ = cmd.Flags().Set(formatFlag, c.LogFormat) // whatever else is wrong
			}
			for _, name := range unknown {
				if name != "EVENTTARGET_WORKER" { // what a worker is started with
					logger(cmd).Warn("a variable means nothing to a hub", "variable", name)
				}
			}
			if err != nil {
				return err
			}
			if check {
				cmd.Println("hub: the configuration is good")
				return nil
			}
			return newDaemon(cmd, source, c).run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "YAML file that says what the hub is to do")
	f.BoolVar(&check, "check", false, "say whether the configuration is good, and end")
	f.String("listen", "127.0.0.1:8080", "address to listen at")
	f.String("backplane", "", "bus that joins this hub with others, such as redis://HOST:PORT")
	f.String("store", "", "folder to keep what sessions need to go on when the hub's process has died")
	f.String("metrics", "", "address to serve metrics (Prometheus) and profiles at, for you only, such as 127.0.0.1:9090")
	f.String("quic", "", "address to listen at for QUIC; needs --key and --allow")
	f.String("key", "", "file of the hub's private key: see keygen")
	f.StringArray("allow", nil, "pin of a spoke that may connect over QUIC (repeatable)")
	f.Bool("live", false, "serve the live page, which shows who is connected, to others than this machine too")
	f.StringSlice("origin", nil, "origin of web pages that may connect, besides the hub's own (repeatable)")
	return cmd
}

// hubKeys are the keys of the configuration that have a flag.
var hubKeys = map[string]string{
	"listen": "http.address", "live": "http.live", "origin": "origins", "backplane": "backplane.url",
	"store": "store.folder", "metrics": "metrics", formatFlag: "log-format",
	"quic": "quic.address", "key": "quic.key-file", "allow": "quic.allow",
}

// hubFlags returns what the flags say that were given, by key, and their names.
func hubFlags(cmd *cobra.Command) (values map[string]any, names map[string]string) {
	values, names = map[string]any{}, map[string]string{}
	for flag, key := range hubKeys {
		f := cmd.Flags().Lookup(flag)
		if !f.Changed {
			continue
		}
		names[key] = "--" + flag
		switch f.Value.Type() {
		case "stringSlice":
			values[key], _ = cmd.Flags().GetStringSlice(flag) // it is one
		case "stringArray":
			values[key], _ = cmd.Flags().GetStringArray(flag)
		case "bool":
			values[key] = strings.EqualFold(f.Value.String(), "true")
		default:
			values[key] = f.Value.String()
		}
	}
	return values, names
}
