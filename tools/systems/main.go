// Command systems checks the types of packages, their tests included, on systems that this one is
// not: `systems linux/386,windows/amd64 ./...`. It reads the sources of what they import, and
// is done before `go vet` would have compiled that for one system.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "systems SYSTEM,… PACKAGE…")
		os.Exit(2)
	}
	failed := false
	for system := range strings.SplitSeq(os.Args[1], ",") {
		goos, goarch, _ := strings.Cut(system, "/")
		found, err := packages.Load(&packages.Config{
			Mode: packages.NeedName | packages.NeedImports | packages.NeedDeps |
				packages.NeedTypes | packages.NeedTypesSizes | packages.NeedModule,
			Env:   append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
			Tests: true,
		}, os.Args[2:]...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, err)
		}
		if n := packages.PrintErrors(found); n > 0 || err != nil || len(found) == 0 {
			fmt.Fprintf(os.Stderr, "%s: %d errors in %d packages\n", system, n, len(found))
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}
