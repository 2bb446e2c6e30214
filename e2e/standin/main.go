// Command standin stands in for the servers, and the program with the set-user-ID
// bit, in the images of Kubernetes' CRI conformance tests, which come from
// registries that a machine for tests need not reach. It is what it is called.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "nginx", "httpd":
		serve(name, os.Args[len(os.Args)-1])
	case "pause":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
		<-stop
	case "nonewprivs":
		fmt.Printf("Effective uid: %d\n", os.Geteuid())
	default:
		log.Fatalf("standin: nobody knows %s", name)
	}
}

// serve answers everything on a port, and leaves its process id where nginx does.
func serve(name, port string) {
	_ = os.WriteFile("/var/run/nginx.pid", fmt.Appendln(nil, os.Getpid()), 0o644)
	log.Println(name, "listens on port", port)
	log.Fatal(http.ListenAndServe(":"+port, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, name)
	})))
}
