package ocispec

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/errdefs"
)

func rlimitName(docker string) string { return "RLIMIT_" + strings.ToUpper(docker) }

// OOMScore returns the oom_score_adj that a container asking for wanted can
// get: a daemon without CAP_SYS_RESOURCE cannot go below its own.
func OOMScore(wanted int) (int, error) {
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, err
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || wanted >= own {
		return wanted, err
	}
	caps, err := cap.Current()
	if err != nil || slices.Contains(caps, "CAP_SYS_RESOURCE") {
		return wanted, err
	}
	return own, nil
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}
