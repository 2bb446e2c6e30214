package limit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// size reads bytes, as docker run's --memory.
func size(text string) (int64, error) {
	n, err := units.RAMInBytes(text)
	if err != nil || n < 0 || n == math.MaxInt64 {
		return 0, errors.New("not a size: write bytes, or a number with a unit, such as 512m or 1g")
	}
	return n, nil
}

// sizeOrAll is size, and -1 for no limit.
func sizeOrAll(text string) (int64, error) {
	if text == "-1" {
		return -1, nil
	}
	return size(text)
}

// cpus reads how many processors' time in billionths, as docker run's --cpus.
func cpus(text string) (int64, error) {
	whole, decimals, _ := strings.Cut(text, ".")
	decimals = strings.TrimRight(decimals, "0")
	digits := whole + decimals + "000000000"[min(9, len(decimals)):]
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || len(decimals) > 9 || text == "." || text == "" {
		return 0, errors.New("not a number of processors: write a number such as 0.5, with at most nine decimals")
	}
	return int64(n), nil
}

// between reads whole numbers.
func between(least, most int64) func(string) (int64, error) {
	return func(text string) (int64, error) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("not a whole number from %d to %d", least, most)
		}
		return n, nil
	}
}

// cpuset checks a list of processors or nodes, such as 0-2,4.
func cpuset(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		to, errLast := strconv.ParseUint(last, 10, 16)
		if err != nil || errLast != nil || from > to {
			return errors.New("not a list of processors or nodes: write numbers and ranges, such as 0-2,4")
		}
	}
	return nil
}
