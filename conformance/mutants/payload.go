package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// carrying changes every event on its way.
func carrying(change func(e event) event) func(w *wrong) {
	return func(w *wrong) {
		w.dispatch = func(ctx context.Context, e event) error { return w.Endpoint.Dispatch(ctx, change(e)) }
	}
}

// payloadMutants carry payloads wrongly.
func payloadMutants() []Mutant {
	return []Mutant{
		{"shares the caller's memory", []string{"A34", "A35", "B04"}, conformance.Harness{
			Name: "shares the caller's memory", Timeout: hangs,
			Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true, Wire: true},
			New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
				return &conformance.Rig{Endpoints: []eventtarget.Endpoint{inprocess.New(&inprocess.Options[raw]{OnFault: s.FaultsOf(0)})}}, nil
			},
		}},
		local("frames by line", []string{"B01"}, carrying(func(e event) event {
			e.Payload = raw(strings.ReplaceAll(string(e.Payload), "\u2028", `\n`))
			if e.Payload != nil && len(e.Payload) == 0 {
				e.Payload = nil
			}
			return e
		})),
		local("replaces what is not UTF-8", []string{"B02"}, carrying(func(e event) event {
			e.Payload = bytes.ToValidUTF8(e.Payload, []byte("\ufffd"))
			return e
		})),
		local("cuts at 32 KiB", []string{"B03"}, carrying(func(e event) event {
			if len(e.Payload) > 32<<10 {
				e.Payload = raw(`"cut"`)
			}
			return e
		})),
		local("sends null for absent", []string{"B05"}, carrying(func(e event) event {
			if e.Payload == nil {
				e.Payload = raw("null")
			}
			return e
		})),
		local("carries numbers as float64", []string{"B06"}, carrying(func(e event) event {
			var v any
			if json.Unmarshal(e.Payload, &v) == nil {
				e.Payload, _ = json.Marshal(v)
			}
			return e
		})),
		local("escapes for HTML", []string{"B07"}, carrying(func(e event) event {
			if e.Payload != nil {
				var b bytes.Buffer
				json.HTMLEscape(&b, e.Payload)
				e.Payload = b.Bytes()
			}
			return e
		})),
		local("drops headers", []string{"B13"}, carrying(func(e event) event {
			e.Headers = nil
			return e
		})),
		{"keeps faults to itself", []string{"A23", "B12", "D04"}, conformance.Harness{
			Name: "keeps faults to itself", Timeout: hangs,
			Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true, Wire: true},
			New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
				return &conformance.Rig{Endpoints: []eventtarget.Endpoint{inprocess.New(&inprocess.Options[raw]{
					Codec: eventtarget.JSON[raw](), Limits: s.Limits(), OnFault: func(eventtarget.Fault) {},
				})}}, nil
			},
		}},
	}
}
