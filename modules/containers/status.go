package containers

import (
	"fmt"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
)

// statusText is the state as ps shows it: "Up 3 minutes (Paused)".
func statusText(st state, status container.ContainerState, health *container.Health, now time.Time) string {
	since := func(t time.Time) string { return units.HumanDuration(now.Sub(t)) }
	switch status {
	case statusRunning:
		return "Up " + since(st.StartedAt) + healthText(health)
	case statusPaused:
		return "Up " + since(st.StartedAt) + " (Paused)"
	case statusRestarting:
		return fmt.Sprintf("Restarting (%d) %s ago", st.ExitCode, since(st.FinishedAt))
	case statusRemoving:
		return "Removal In Progress"
	case statusCreated:
		return "Created"
	}
	return fmt.Sprintf("Exited (%d) %s ago", st.ExitCode, since(st.FinishedAt))
}
