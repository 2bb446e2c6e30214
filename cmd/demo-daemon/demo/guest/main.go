// Command guest is the program in the demo's container: "guest serve" writes
// into the volume and waits for the end, "guest report" tells what it sees.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo/facts"
)

func main() {
	if err := run(os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(what string) error {
	switch what {
	case "serve":
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		if err := os.WriteFile(facts.VolumeFile, []byte("hello from the container\n"), 0o644); err != nil {
			return err
		}
		fmt.Println("ready")
		<-end
		return nil
	case "report":
		return json.NewEncoder(os.Stdout).Encode(facts.Gather())
	}
	return fmt.Errorf("unknown command %q: use serve or report", what)
}
