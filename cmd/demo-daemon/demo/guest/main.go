// Command guest is the program in the demo's container: "guest serve" writes
// into the volume, says hello to callers and waits for the end, "guest report
// [NAME]" tells what it sees.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/pouchfx/pouchfx/cmd/demo-daemon/demo/facts"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch what := strings.Join(args[:min(1, len(args))], ""); what {
	case "serve":
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		listener, err := net.Listen("tcp", ":"+facts.Port)
		if err != nil {
			return err
		}
		go greet(listener)
		if err := os.WriteFile(facts.VolumeFile, []byte("hello from the container\n"), 0o644); err != nil {
			return err
		}
		fmt.Println("ready")
		<-end
		return nil
	case "report":
		return json.NewEncoder(os.Stdout).Encode(facts.Gather(strings.Join(args[1:], "")))
	default:
		return fmt.Errorf("unknown command %q: use serve or report", what)
	}
}

// greet says hello to whoever calls.
func greet(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, "hello from the container")
		conn.Close()
	}
}
