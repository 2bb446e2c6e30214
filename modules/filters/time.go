package filters

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// layouts are the forms of a date that Docker's clients send, without a zone
// they are local time.
var layouts = []string{
	"2006-01-02T15:04:05.999999999",
	"2006-01-02T15:04",
	"2006-01-02T15",
	"2006-01-02",
	"2006-01-02Z07:00",
}

// ParseTime reads a point in time as Docker's since and until parameters have
// it: seconds since 1970 with an optional fraction, a date of RFC 3339 or a
// part of one, or a duration such as 10m, counted back from now. The empty
// text and "0" are the zero time. Its error is an errdefs.ErrInvalidArgument.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "0" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	if t, ok := parseUnix(text); ok {
		return t, nil
	}
	return time.Time{}, invalid("invalid time %q: use seconds since 1970, 2006-01-02T15:04:05Z or a duration such as 10m", text)
}

// parseUnix reads "1136073600.000000001". Digits beyond nanoseconds are cut.
func parseUnix(text string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > math.MaxInt64/int64(time.Second) || seconds < math.MinInt64/int64(time.Second) {
		return time.Time{}, false
	}
	fraction = (fraction + "000000000")[:9]
	nanos, err := strconv.ParseUint(fraction, 10, 32)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(nanos)), true
}

// Until returns the time given with the "until" key of prune requests, and
// the zero time when there is none. Only one value makes sense.
func (a Args) Until(now time.Time) (time.Time, error) {
	given := a.Get("until")
	switch len(given) {
	case 0:
		return time.Time{}, nil
	case 1:
		return ParseTime(given[0], now)
	}
	return time.Time{}, invalid("invalid filter 'until': give one time, not %s", strings.Join(given, " and "))
}
