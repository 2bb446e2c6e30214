//go:build race

package containerdtest

const raceEnabled = true
