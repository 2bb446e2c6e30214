//go:build !race

package containerdtest

const raceEnabled = false
