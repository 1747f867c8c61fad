package e2e_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"os/exec"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

var update = flag.Bool("update", false, "write ../eventtarget.min.js anew")

// TestModule checks that what is served is made of the source, and how large it is.
func TestModule(t *testing.T) {
	source, err := os.ReadFile("../eventtarget.js")
	if err != nil {
		t.Fatal(err)
	}
	made := api.Transform(string(source), api.TransformOptions{
		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true, Target: api.ES2022, TreeShaking: api.TreeShakingTrue, Sourcefile: "eventtarget.js",
	})
	for _, e := range made.Errors {
		t.Fatal(e.Text)
	}
	const served = "../eventtarget.min.js"
	if *update {
		if err := os.WriteFile(served, made.Code, 0o644); err != nil { //nolint:gosec // it is source
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(served); err != nil || !bytes.Equal(got, made.Code) {
		t.Errorf("%s is not what the source makes (%v): go test -run Module -update", served, err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(made.Code); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d compressed", len(made.Code), packed.Len())
	if packed.Len() > 2500 {
		t.Errorf("%d bytes compressed are more than 2.5 KB", packed.Len())
	}
}

// TestTypes compiles a program against the module's types.
func TestTypes(t *testing.T) {
	tsc := exec.CommandContext(deadline(t), "node", "testdata/node_modules/typescript/bin/tsc", "--project", "testdata")
	if out, err := tsc.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
