package mountspec

import (
	"slices"
	"strings"
)

// ParseVolumesFrom reads CONTAINER[:MODE] of --volumes-from.
func ParseVolumesFrom(text string) (container string, writable bool, err error) {
	container, mode, given := strings.Cut(text, ":")
	if container == "" {
		return "", false, invalid("volumes-from specification cannot be an empty string")
	}
	if !given {
		return container, true, nil
	}
	words := strings.Split(mode, ",")
	var access, label int
	writable = true
	for _, w := range words {
		switch w {
		case "ro", "rw":
			access++
			writable = w == "rw"
		case "z", "Z": // SELinux labels; this daemon sets none
			label++
		default:
			return "", false, invalid("invalid mode: %s", mode)
		}
	}
	if access > 1 || label > 1 || slices.Contains(words, "") {
		return "", false, invalid("invalid mode: %s", mode)
	}
	return container, writable, nil
}
