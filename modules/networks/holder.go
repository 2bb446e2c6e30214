package networks

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
)

// byProcess names the process that has a port, as far as /proc tells: ", by
// process nginx (pid 123)", or nothing.
func byProcess(key portKey) string {
	for _, inode := range listeners(key) {
		if name := ownerOf(inode); name != "" {
			return ", by process " + name
		}
	}
	return ""
}

// listeners returns the inodes of the sockets that wait for others on a port.
func listeners(key portKey) []string {
	state := "0A" // TCP_LISTEN
	if key.protocol == network.UDP {
		state = "07" // unconnected
	}
	var inodes []string
	for _, table := range []string{string(key.protocol), string(key.protocol) + "6"} {
		f, err := os.Open("/proc/thread-self/net/" + table)
		if err != nil {
			continue
		}
		inodes = append(inodes, socketsIn(f, key.port, state)...)
		_ = f.Close()
	}
	return inodes
}

// socketsIn reads a table of /proc/net: the second word of a line is the
// local address, the fourth the state, the tenth the inode.
func socketsIn(table io.Reader, port uint16, state string) []string {
	var inodes []string
	end := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(table); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 9 && strings.HasSuffix(words[1], end) && words[3] == state && words[9] != "0" {
			inodes = append(inodes, words[9])
		}
	}
	return inodes
}

// ownerOf names a process that has a socket open.
func ownerOf(inode string) string {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return ""
	}
	for _, process := range processes {
		open, err := os.ReadDir(process + "/fd")
		if err != nil {
			continue
		}
		for _, fd := range open {
			if target, err := os.Readlink(process + "/fd/" + fd.Name()); err != nil || target != "socket:["+inode+"]" {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(process))
			if err != nil {
				continue
			}
			name, _ := os.ReadFile(process + "/comm") // then the pid must do
			return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}
